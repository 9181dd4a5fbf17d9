#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Two hosts: pods talk over IPv4 and IPv6, nothing of it is in clear on the underlay, broadcasts arrive once.
source "$(dirname "$0")/lib.sh"
begin iperf3 tcpdump socat

step "two hosts, one pod each"
host a 1
host b 2
started=${EPOCHREALTIME/./}
start a
start b "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
elapsed=$(((${EPOCHREALTIME/./} - started) / 1000))
echo "first ping $elapsed ms after the first start"

step "traffic, with a capture on the underlay"
capture_begin
marker=weavemesh-marker-that-must-be-sealed
expect "IPv4 pings, none lost" pings p1 10.32.0.2 20
expect "IPv6 pings, none lost" pings p2 fd32::1 20
expect "a ping of 1,300 bytes" in_pod p1 ping -n -q -c 3 -i 0.1 -W 1 -s 1300 -M "do" 10.32.0.2
expect "pings that carry the marker" in_pod p1 ping -n -q -c 5 -i 0.05 -W 1 -s 64 \
    -p "$(printf '%.16s' "$marker" | od -An -tx1 | tr -d ' \n')" 10.32.0.2
server p2 socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening p2 7001
for _ in {1..1000}; do echo "$marker"; done >"$folder/sent"
expect "a TCP transfer of the marker" in_pod p1 socat -u OPEN:"$folder/sent" TCP:10.32.0.2:7001
expect "it arrived unchanged" eventually 3 cmp "$folder/sent" "$folder/received"
capture_end
[[ $(stat -c %s "$folder/wire.pcap") -gt 10000 ]] || fail "the capture saw next to nothing"
[[ $(occurrences weavemesh-marker "$folder/wire.pcap") -eq 0 ]] || fail "the marker is readable on the underlay"
echo "ok: the marker does not occur on the underlay"

step "bulk"
expect "TCP over IPv4" transfer p1 p2 10.32.0.2 -t 2
tail -n 4 "$folder/last.out"
expect "TCP over IPv6, other direction" transfer p2 p1 fd32::1 -t 2
tail -n 4 "$folder/last.out"

step "the status names the other host"
expect "peers" ctl a status peers
grep -q '^b .* direct ' "$folder/last.out" || fail "host b is not among a's peers"
expect "still pings" pings p1 10.32.0.2 5
