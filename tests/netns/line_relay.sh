#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# a - b - c: a and c cannot reach each other on the underlay; their pods talk through b, which can read nothing.
source "$(dirname "$0")/lib.sh"
begin iperf3 tcpdump socat python3

host a 1
host b 2
host c 3
step "a and c never see each other"
cut a c
start b
start a "$(address b)"
start c "$(address b)"
pod a pa 10.32.0.1/12 fd32::1/64
pod b pb 10.32.0.2/12 fd32::2/64
pod c pc 10.32.0.3/12 fd32::3/64
expect "neighbours reach each other" eventually 5 pings pa 10.32.0.2
expect "pings pass through the relay" eventually 10 pings pa 10.32.0.3
capture_begin
# ping repeats a pattern of at most 16 bytes: twice that is the marker.
half=weavemesh-marker
marker=$half$half
expect "none is lost" pings pa 10.32.0.3 20
expect "IPv6 too" pings pc fd32::1 20
expect "ICMP carries the marker 1,000 times" in_pod pa ping -n -q -c 1000 -i 0.002 -W 1 -s 64 \
    -p "$(printf '%s' "$half" | od -An -tx1 | tr -d ' \n')" 10.32.0.3
for _ in {1..1000}; do echo "$marker"; done >"$folder/sent"
server pc socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening pc 7001
expect "TCP carries the marker" in_pod pa socat -u OPEN:"$folder/sent" TCP:10.32.0.3:7001
expect "it arrived unchanged" eventually 5 cmp "$folder/sent" "$folder/received"
server pc socat -u UDP-RECV:7002 OPEN:"$folder/datagrams",creat
eventually 3 listening_udp pc 7002
in_pod pa socat -u -b 33 OPEN:"$folder/sent" UDP:10.32.0.3:7002
eventually 3 grep -q -F "$marker" "$folder/datagrams" || fail "UDP carried nothing"
expect "a transfer through the relay" transfer pa pc 10.32.0.3 -t 2
tail -n 4 "$folder/last.out"
capture_end

step "what the underlay and the relay's memory show"
[[ $(occurrences "$half" "$folder/wire.pcap") -eq 0 ]] || fail "the marker is readable on the underlay"
echo "ok: not on the underlay"
found=$(in_memory "$(router_pid b)" "$half")
[[ $found == 0 ]] || fail "the marker is $found times in the relay's memory"
[[ $(in_memory "$(router_pid b)" weave-tap) != 0 ]] || fail "the search of the relay's memory finds nothing at all"
echo "ok: not in the relay's memory"

step "the direct path comes back"
heal a c
expect "pings go on" pings pa 10.32.0.3 20
