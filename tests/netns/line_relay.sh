#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# a - b - c: a and c cannot reach each other on the underlay; their pods talk through b, which can read nothing.
source "$(dirname "$0")/lib.sh"
begin iperf3 tcpdump socat python3 gcore

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
expect "none is lost" pings pa 10.32.0.3 20
expect "IPv6 too" pings pc fd32::1 20

step "a marker, 1,000 times by each protocol"
capture_begin
# ping repeats a pattern of at most 16 bytes: twice that is the marker.
half=weavemesh-marker
marker=$half$half
expect "1,000 pings carry it" pings pa 10.32.0.3 1000 -i 0.002 -s 64 -p "$(printf '%s' "$half" | od -An -tx1 | tr -d ' \n')"
for _ in {1..1000}; do echo "$marker"; done >"$folder/sent"
server pc socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening pc 7001
expect "TCP carries it" in_pod pa socat -u OPEN:"$folder/sent" TCP:10.32.0.3:7001
expect "1,000 arrived by TCP" eventually 5 cmp "$folder/sent" "$folder/received"
server pc socat -u UDP-RECV:7002 OPEN:"$folder/datagrams",creat
eventually 3 listening_udp pc 7002
expect "1,000 datagrams carry it" in_pod pa python3 -c '
import socket, sys, time
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(1000):
    udp.sendto(sys.argv[1].encode() + b"\n", ("10.32.0.3", 7002))
    time.sleep(0.001)' "$marker"
expect "1,000 arrived by UDP" eventually 5 cmp "$folder/sent" "$folder/datagrams"

step "what the relay's memory and the underlay show"
if has_sanitizer b; then
    echo "left out: a core with a sanitizer's terabytes"
    in_relay=0 in_receiver=1
else
    in_relay=$(in_core "$(router_pid b)" "$half") || fail "there is no core of the relay: $in_relay"
    in_receiver=$(in_core "$(router_pid c)" "$half") || fail "there is no core of the receiver: $in_receiver"
fi
capture_end
[[ $(occurrences "$half" "$folder/wire.pcap") -eq 0 ]] || fail "the marker is readable on the underlay"
echo "ok: not on the underlay, of which the capture saw:" && cat "$folder/ports.seen"
[[ $in_receiver -gt 0 ]] || fail "it is not in a core of the receiver either: the search finds nothing at all"
[[ $in_relay -eq 0 ]] || fail "the marker is $in_relay times in a core of the relay"
has_sanitizer b || echo "ok: not in a core of the relay; $in_receiver times in one of the receiver"

step "much, through the relay"
expect "pings pass" eventually 10 pings pa 10.32.0.3
expect "a transfer" transfer pa pc 10.32.0.3 -t 2
tail -n 4 "$folder/last.out"

step "the direct path comes back"
heal a c
expect "pings go on" pings pa 10.32.0.3 20
