#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The path's MTU falls during a transfer and no ICMP comes back: the transfer completes.
source "$(dirname "$0")/lib.sh"
begin iperf3

host a 1
host b 2
# Else the switch would see trains of packets, and their length, where a wire carries the packets.
for name in a b; do
    ip -n "$prefix-$name" link set eth0 gso_max_segs 1
done
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
expect "full-size packets pass" eventually 5 in_pod p1 ping -n -q -c 2 -i 0.1 -W 1 -M "do" -s 1348 10.32.0.2
step "a transfer, during which longer packets begin to vanish in the switch; nobody is told"
(sleep 0.5 && ip netns exec "$underlay" nft -f -) <<'END' &
table bridge narrow {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip length > 1400 drop
        ip6 length > 1360 drop
    }
}
END
server p2 iperf3 -s -1 -p 5301
eventually 3 listening p2 5301
expect "the transfer completes" in_pod p1 timeout 30 iperf3 -C cubic -c 10.32.0.2 -p 5301 -n 100M -b 400M
tail -n 4 "$folder/last.out"
expect "and the other way" transfer p2 p1 10.32.0.1 -n 20M
told() {
    # It exits 1 when it was told.
    in_pod p1 ping -n -c 1 -W 1 -M "do" -s 1348 10.32.0.2 >"$folder/ping.out" 2>&1 || true
    grep -qi -e 'mtu' -e 'frag needed' "$folder/ping.out"
}
expect "the pod is told the MTU" eventually 10 told
