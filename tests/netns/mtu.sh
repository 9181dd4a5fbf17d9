#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The path's MTU falls during a transfer and no ICMP comes back: the transfer completes, also where acknowledgements of
# a reverse flow outnumber the packets that vanish; the pods are told the size that was measured, and no other.
WEAVE_TEST_UNDERLAY=v4 # so that the path does not change to another with another overhead
source "$(dirname "$0")/lib.sh"
begin iperf3

host a 1
host b 2
# Else the switch would see trains of packets, and their length, where a wire carries the packets.
for name in a b; do
    ip -n "$prefix-$name" link set eth0 gso_max_segs 1
done
start a --mtu 1376
start b --mtu 1376 "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
narrow() {
    ip netns exec "$underlay" nft -f - <<END
table bridge narrow {
    chain forward {
        type filter hook forward priority 0; policy accept;
        $1 ip length > 1400 drop
        $1 ip6 length > 1360 drop
    }
}
END
}
# The size towards b that host a works with.
size() { ctl a -o json status peers | tr -d ' \n' | sed 's/.*"mtu":\([0-9]*\).*/\1/'; }
measures() { [[ $(size) -le $2 && $(size) -ge $1 ]]; }
# What the pod's kernel was told of its path to an address.
told() { in_pod p1 ip route get "$1" | grep -o 'mtu [0-9]*'; }
is_told() { in_pod p1 ping -n -c 1 -W 1 -M "do" -s "$2" "$1" >/dev/null 2>&1 || [[ $(told "$1") == "mtu $3" ]]; }
# Full-size packets all the while: whatever a pod can be told wrongly, it is told now.
insist() {
    while sleep 0.05; do
        in_pod p1 ping -n -q -c 1 -W 1 -M "do" -s 1348 10.32.0.2 || true
        in_pod p1 ping -n -q -c 1 -W 1 -M "do" -s 1328 fd32::2 || true
    done >/dev/null 2>&1
}

expect "the first ping passes" eventually 5 pings p1 10.32.0.2
expect "full-size packets pass" eventually 5 in_pod p1 ping -n -q -c 2 -i 0.1 -W 1 -M "do" -s 1348 10.32.0.2
expect "and over IPv6" eventually 5 in_pod p1 ping -n -q -c 2 -i 0.1 -W 1 -M "do" -s 1328 fd32::2
step "a transfer, during which longer packets begin to vanish in the switch; nobody is told"
(sleep 0.5 && narrow "") &
insist &
insisting=$!
background+=("$insisting")
server p2 iperf3 -s -1 -p 5301
eventually 3 listening p2 5301
expect "the transfer completes" in_pod p1 timeout 30 iperf3 -C cubic -c 10.32.0.2 -p 5301 -n 100M -b 400M
tail -n 4 "$folder/last.out"
expect "and the other way" transfer p2 p1 10.32.0.1 -n 20M
expect "the path is measured" eventually 10 measures 1392 1400
# Within eight bytes of 1400; the sealed frame has 78 bytes more than the pod's packet.
right=$(($(size) - 78))
expect "the pod is told $right for IPv4" eventually 10 is_told 10.32.0.2 1348 "$right"
expect "and for IPv6" eventually 10 is_told fd32::2 1328 "$right"
kill "$insisting"
for target in 10.32.0.2 fd32::2; do
    [[ $(told "$target") == "mtu $right" ]] || fail "the pod believes '$(told "$target")' of $target, and $right is right"
done
echo "ok: neither was told anything else"

step "the path recovers, and narrows again one way only, under a bulk flow the other way"
ip netns exec "$underlay" nft delete table bridge narrow
expect "the size is found again" eventually 90 measures 1500 1500
in_pod p1 ip route flush cache
in_pod p1 ip -6 route flush cache
server p1 iperf3 -s -p 5302
server p2 iperf3 -s -p 5303
eventually 3 listening p1 5302
eventually 3 listening p2 5303
in_background ip netns exec "$prefix-p2" iperf3 -C cubic -c 10.32.0.1 -p 5302 -t 30 -b 300M >"$folder/reverse.out" 2>&1
sleep 1
narrow 'iifname "to-a"'
expect "an upload completes" in_pod p1 timeout 12 iperf3 -C cubic -c 10.32.0.2 -p 5303 -n 5M
expect "the path is measured" eventually 5 measures 1392 1400
