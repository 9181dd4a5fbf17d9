#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Between pods checksums stay unfinished, as on any veth. A program (XDP) on a pod's interface reads them before the kernel
# finishes them: while there is one, however it was attached, they are finished before.
WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
begin python3 tcpdump

tools=$repository/tests/netns/tools
host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
server p2 tcpdump --immediate-mode -Z root -n -l -vv -i eth0 udp dst port 9
eventually 5 grep -q listening "$folder/p2.out"
sums() { grep -E -o "udp sum ok|bad udp cksum" "$folder/p2.out"; }
one_more() { [[ $(sums | wc -l) -gt $1 ]]; }
# arrives AS: one more datagram comes, with a sum that tcpdump calls so.
arrives() {
    local before
    before=$(sums | wc -l)
    in_pod p1 bash -c 'echo hello >/dev/udp/10.32.0.2/9'
    eventually 2 one_more "$before" && [[ $(sums | tail -n 1) == "$1" ]]
}
finished() { eventually 20 arrives "udp sum ok"; }
unfinished() { eventually 20 arrives "bad udp cksum"; }

expect "sums are left to the kernel" unfinished

step "a program is attached by netlink"
filter=$WEAVE_BUILD/src/fastpath/filter.bpf.o
in_pod p2 ip link set dev eth0 xdpgeneric object "$filter" section xdp
expect "sums are finished" finished
in_pod p2 ip link set dev eth0 xdpgeneric off
expect "and no longer when it is gone" unfinished

step "a program is attached by a BPF link, of which the kernel does not tell"
ip netns exec "$prefix-p2" python3 "$tools/xdp_link.py" eth0 >"$folder/link.out" 2>&1 &
link=$!
background+=("$link")
expect "it is there" eventually 5 grep attached "$folder/link.out"
expect "sums are finished" finished
kill -TERM "$link"
expect "and no longer some time after it is gone" unfinished
