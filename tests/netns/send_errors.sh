#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# What the kernel refuses to send: the host's interface vanishes and comes back, its packet filter drops what goes out, and
# the way out is slower than what pods send. Each is counted under a name of its own, and the router works afterwards.
WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
begin iperf3 tc

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
dropped() { ctl a status drops | awk -v name="$1" '$2 == name { print $1 }'; }
counts() { [[ $(dropped "$1") -gt 0 ]]; }
pings_on() { in_pod p1 ping -n -q -c 100000 -i 0.02 -W 1 10.32.0.2; }
in_background pings_on >/dev/null 2>&1

step "the interface vanishes and comes back"
for round in 1 2; do
    ip -n "$prefix-a" link delete eth0
    expect "what cannot be sent is counted ($round)" eventually 10 counts send_unreachable
    ip link add eth0 netns "$prefix-a" type veth peer name to-a netns "$underlay"
    ip -n "$underlay" link set to-a master lan up
    ip -n "$prefix-a" address add 192.168.77.1/24 dev eth0
    ip -n "$prefix-a" link set eth0 up
    expect "pings pass again ($round)" eventually 15 pings p1 10.32.0.2 5
done
expect "and a transfer" transfer p1 p2 10.32.0.2 -n 20M

step "the packet filter drops what goes out"
in_host a nft -f - <<END
table inet out {
    chain output {
        type filter hook output priority 0; policy accept;
        udp sport 6783 drop
    }
}
END
expect "it is counted" eventually 10 counts send_refused
in_host a nft delete table inet out
expect "pings pass again" eventually 15 pings p1 10.32.0.2 5

step "the way out is slower than what comes"
# A queue that holds more than the socket's send buffer, so that the socket is what is full.
in_host a tc qdisc add dev eth0 root tbf rate 40mbit burst 100kb limit 64mb
server p2 iperf3 -s -p 5302
eventually 3 listening p2 5302
in_pod p1 iperf3 -u -b 400M -l 1300 -c 10.32.0.2 -p 5302 -t 3 >"$folder/flood.out" 2>&1 || true
expect "it is counted" counts send_buffer_full
in_host a tc qdisc delete dev eth0 root
expect "pings pass again" eventually 15 pings p1 10.32.0.2 5
expect "and a transfer" transfer p1 p2 10.32.0.2 -n 20M
