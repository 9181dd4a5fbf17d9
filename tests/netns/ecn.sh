#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# DSCP and ECN of pods' packets on the underlay: the class is to be seen there, two classes at once are not mixed, a
# router's congestion mark reaches the pod's TCP, whose sender slows down, and what cannot be told is dropped and counted.
source "$(dirname "$0")/lib.sh"
begin iperf3 nstat

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
# Paths may still change from one family to the other.
expect "and over IPv6" eventually 5 pings p1 fd32::2

# On the wire, from host a to b: packets by their class, and marks for those that take them.
ip netns exec "$underlay" nft -f - <<END
table bridge wire {
    counter af41 { }
    counter af11 { }
    counter ect { }
    chain marking { }
    chain forward {
        type filter hook forward priority 0; policy accept;
        iifname "to-a" jump marking
        iifname "to-a" ip dscp af41 counter name af41
        iifname "to-a" ip6 dscp af41 counter name af41
        iifname "to-a" ip dscp af11 counter name af11
        iifname "to-a" ip6 dscp af11 counter name af11
        iifname "to-a" ip ecn != not-ect counter name ect
        iifname "to-a" ip6 ecn != not-ect counter name ect
    }
}
END
seen() { ip netns exec "$underlay" nft reset counter bridge wire "$1" | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }
mark() { ip netns exec "$underlay" nft add rule bridge wire marking "$@"; }
unmark() { ip netns exec "$underlay" nft flush chain bridge wire marking; }
count_of() { in_pod "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name {print $2}'; }
dropped() { ctl "$1" status drops | awk -v name="$2" '$2 == name { print $1 }'; }

step "classes"
seen af41 >/dev/null
expect "ping in class AF41" in_pod p1 ping -n -q -c 5 -i 0.1 -Q 0x88 10.32.0.2
expect "ping over IPv6 in class AF11" in_pod p1 ping -6 -n -q -c 5 -i 0.1 -Q 0x28 fd32::2
af41=$(seen af41)
af11=$(seen af11)
[[ $af41 -ge 5 && $af11 -ge 5 ]] || fail "the underlay saw $af41 packets of AF41 and $af11 of AF11, not 5 of each"
echo "ok: the underlay saw them in their classes"
server p2 iperf3 -s -p 5301
server p2 iperf3 -s -p 5302
eventually 3 listening p2 5301
eventually 3 listening p2 5302
in_pod p1 iperf3 -c 10.32.0.2 -p 5301 -S 0x88 -n 20M -b 200M >"$folder/first.out" &
first=$!
expect "two transfers at once, one of class AF11" in_pod p1 iperf3 -c 10.32.0.2 -p 5302 -S 0x28 -n 20M -b 200M
wait "$first" || fail "the one of class AF41: $(cat "$folder/first.out")"
[[ $(seen af41) -gt 0 && $(seen af11) -gt 0 ]] || fail "the underlay saw one class only"

step "marks"
in_pod p1 sysctl -qw net.ipv4.tcp_ecn=1
in_pod p2 sysctl -qw net.ipv4.tcp_ecn=1
seen ect >/dev/null
mark ip ecn ect0 ip ecn set ce
mark ip6 ecn ect0 ip6 ecn set ce
expect "a transfer whose packets are marked underneath" in_pod p1 iperf3 -C cubic -c 10.32.0.2 -p 5301 -n 2M
[[ $(seen ect) -gt 0 ]] || fail "nothing on the underlay said that it takes marks"
marked=$(count_of p2 IpExtInCEPkts)
told=$(count_of p1 TcpExtTCPDeliveredCE)
[[ $marked -gt 0 ]] || fail "no marked packet reached the pod"
[[ $told -gt 0 ]] || fail "the sender was told of no mark"
echo "ok: $marked marked packets reached the pod, $told were told to the sender"
expect "over IPv6, too" in_pod p1 iperf3 -C cubic -c fd32::2 -p 5301 -n 2M
[[ $(count_of p2 Ip6InCEPkts) -gt 0 ]] || fail "no marked packet reached the pod over IPv6"

step "marks where nobody takes them"
unmark
mark ip ecn not-ect ip ecn set ce
mark ip6 ecn not-ect ip6 ecn set ce
in_pod p1 ping -n -q -c 3 -i 0.1 -W 1 10.32.0.2 >/dev/null 2>&1 && fail "a packet got through with a mark that its sender does not know"
[[ $(dropped b ce_on_not_ect) -ge 3 ]] || fail "they were not counted: $(ctl b status drops)"
echo "ok: dropped and counted"
unmark
expect "without marks they pass" eventually 5 pings p1 10.32.0.2
