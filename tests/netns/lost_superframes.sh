#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Superframes for one pod do not arrive behind the host, as where a network card damages what it has to cut: that pod gets
# single frames after a few seconds, and its neighbour what it always got.
WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
begin iperf3 nft

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
pod b p3 10.32.0.3/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
expect "and to the neighbour" eventually 5 pings p1 10.32.0.3
mac() { in_pod "$1" cat /sys/class/net/eth0/address; }
in_host b nft -f - <<END
table bridge damage {
    counter lost { }
    counter whole { }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ether daddr $(mac p2) meta length > 2000 counter name lost drop
        ether daddr $(mac p3) meta length > 2000 counter name whole
    }
}
END
packets() { in_host b nft -j list counter bridge damage "$1" | jq '.nftables[] | .counter.packets? // empty'; }
warns() { ctl b status | matches "superframes for some destination do not arrive"; }

step "a transfer to the pod"
refuse "nothing is said before" warns
expect "it arrives" transfer p1 p2 10.32.0.2 -n 20M
lost=$(packets lost)
echo "superframes lost: $lost"
[[ $lost -ge 8 && $lost -le 200 ]] || fail "$lost superframes were lost"
expect "the status says why it is slower" warns

step "a transfer to its neighbour"
expect "it arrives" transfer p1 p3 10.32.0.3 -n 20M
[[ $(packets whole) -gt 200 ]] || fail "only $(packets whole) superframes came"
[[ $(packets lost) -eq $lost ]] || fail "more were lost"
