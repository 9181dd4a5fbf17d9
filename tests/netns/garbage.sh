#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Garbage on the ports, and real handshakes said again by somebody else: nothing is believed, every kind is counted.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin python3 tcpdump

tools=$repository/tests/netns/tools
host a 1
host b 2
host x 3
step "a capture of how b joins"
ip netns exec "$prefix-a" tcpdump --immediate-mode -Z root -i eth0 -s 0 -U -w "$folder/real.pcap" port 6783 >"$folder/tcpdump.out" 2>&1 &
capture=$!
background+=("$capture")
eventually 5 grep -q listening "$folder/tcpdump.out"
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
sleep 0.3
kill -TERM "$capture"
wait "$capture" || true
meanwhile_begin p1 10.32.0.2 a b
log_size=$(stat -c %s "$folder/a/run/weaved.log")

step "random bytes"
expect "garbage is sent" in_host x python3 "$tools/garbage.py" "$(address a)"
for name in malformed_datagram unknown_kind unknown_receiver session_malformed control_handshake_failed; do
    expect "counted as $name" eventually 3 counted a "$name"
done

step "what was really said, again"
expect "replayed" in_host x python3 "$tools/replay.py" "$folder/real.pcap"
cat "$folder/last.out"
# Which of the two began is chance.
either() { [[ $(($(count a "$1") + $(count b "$1"))) -ge ${2:-1} ]]; }
for name in session_replayed_init replayed bad_tag; do
    expect "counted as $name" eventually 3 either "$name"
done
expect "counted as control_handshake_failed" counted a control_handshake_failed 200
expect "too many from one address are counted" counted a control_connection_refused
expect "status names who was refused" ctl a status
says "192.168.77.3"
expect "the peers of a" ctl a status peers
says "$(address b)"
grep -q "192.168.77.3" "$folder/last.out" && fail "the replays moved b to another address"
refuse "x is nobody" grep -qw x "$folder/last.out"
meanwhile_end 32
# Whatever a stranger can cause is said a few times, not each time.
grown=$(($(stat -c %s "$folder/a/run/weaved.log") - log_size))
[[ $grown -lt 20000 ]] || fail "the log of a grew by $grown bytes"
echo "ok: the log of a grew by $grown bytes"
