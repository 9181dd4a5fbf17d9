#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A network on which trains of datagrams do not arrive, and nobody says so: probes find it out, for that peer alone, and
# its datagrams go one by one; to other peers trains go on.
WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
begin iperf3

host a 1
host b 2
host c 3
# Between a and b the switch takes no packet that is longer than the wire; a train is one until a card has cut it.
ip netns exec "$underlay" nft -f - <<END
table bridge narrow {
    chain forward {
        type filter hook forward priority 0; policy accept;
        ip saddr 192.168.77.1 ip daddr 192.168.77.2 ip protocol udp ip length > 1500 drop
        ip saddr 192.168.77.2 ip daddr 192.168.77.1 ip protocol udp ip length > 1500 drop
    }
}
END
start a
start b "$(address a)"
start c "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
pod c p3 10.32.0.3/12
expect "pings pass" eventually 5 pings p1 10.32.0.2
expect "pings pass" eventually 5 pings p1 10.32.0.3

trains() { ctl "$1" status peers | awk -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "TRAINS") at = i } $1 == name { print $at }'; }
knows() { [[ $(trains "$1" "$2") == "$3" ]]; }
expect "host a finds out that trains do not get to b" eventually 20 knows a b none
expect "and host b that they do not get to a" eventually 20 knows b a none
expect "those to c do" eventually 20 knows a c whole
expect "a transfer to b" transfer p1 p2 10.32.0.2 -n 50M
expect "one from b" transfer p2 p1 10.32.0.1 -n 50M
expect "and one to c" transfer p1 p3 10.32.0.3 -n 50M
