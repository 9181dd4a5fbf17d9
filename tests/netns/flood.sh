#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# 10,000 connections that say nothing and 10,000 first handshake datagrams, from thousands of addresses: what is kept for
# them is bounded, the rest is counted, and a host of the cluster joins all the same.
export WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin python3 tcpdump

tools=$repository/tests/netns/tools
host a 1
host b 2
host c 3
host d 4
host x 9
in_host x ip route add local 10.99.0.0/16 dev lo
for name in a b; do
    in_host "$name" ip route add 10.99.0.0/16 via "$(address x)"
done
ip netns exec "$prefix-a" tcpdump --immediate-mode -Z root -i eth0 -s 0 -U -w "$folder/real.pcap" udp port 6783 >"$folder/tcpdump.out" 2>&1 &
capture=$!
background+=("$capture")
eventually 5 grep -q listening "$folder/tcpdump.out"
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
kill -TERM "$capture"
wait "$capture" || true
descriptors() { find "/proc/$(router_pid "$1")/fd" | wc -l; }
few_descriptors() { [[ $(descriptors "$1") -lt 400 ]] || { descriptors "$1"; return 1; }; }

step "10,000 connections that say nothing"
meanwhile_begin p1 10.32.0.2 a b
server x python3 "$tools/flood.py" tcp "$(address a)" 10000
expect "they are made" eventually 60 grep "^connected 10000$" "$folder/x.out"
# On a slow machine the kernel's own queue turns some away.
expect "most are counted as control_connection_refused" eventually 20 counted a control_connection_refused 5000
expect "few are held" few_descriptors a
began=$EPOCHREALTIME
start c "$(address a)"
pod c p3 10.32.0.3/12
expect "a third host joins" eventually 25 pings p3 10.32.0.1
echo "it took $(((${EPOCHREALTIME/./} - ${began/./}) / 1000)) ms"
meanwhile_end 32

step "10,000 first handshake datagrams"
meanwhile_begin p1 10.32.0.2 a b
expect "they are sent" in_host x python3 "$tools/flood.py" udp "$folder/real.pcap" 10000
cat "$folder/last.out"
began=$EPOCHREALTIME
start d "$(address a)"
pod d p4 10.32.0.4/12
expect "a fourth host joins" eventually 10 pings p4 10.32.0.2
echo "it took $(((${EPOCHREALTIME/./} - ${began/./}) / 1000)) ms"
either() { [[ $(($(count a "$1") + $(count b "$1"))) -ge ${2:-1} ]]; }
expect "the first ones are counted as session_replayed_init" eventually 10 either session_replayed_init 100
expect "most are counted as session_init_over_limit" eventually 10 either session_init_over_limit 1000
meanwhile_end 32
