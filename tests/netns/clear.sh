#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Packets in clear: where both hosts were started with --clear and nowhere else, seen on the underlay itself; and each host
# says which it is.
source "$(dirname "$0")/lib.sh"
begin iperf3 tcpdump socat curl

marker=weavemesh-marker-for-all-to-see
for _ in {1..1000}; do echo "$marker"; done >"$folder/sent"

# cipher HOST PEER: the column of that name in status peers
cipher() { ctl "$1" status peers | awk -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "CIPHER") at = i } $1 == name { print $at }'; }
is_clear() { [[ $(cipher "$1" "$2") == clear ]]; }
is_sealed() { [[ $(cipher "$1" "$2") =~ ^(AES-256-GCM|ChaCha20-Poly1305)$ ]]; }
warned() { ctl "$1" status | matches "^warning: *encryption is off (--clear): packets to nodes where it is off too travel in clear, "; }
metric() { in_host "$1" curl -s http://127.0.0.1:6784/metrics | matches "^weave_encryption_enabled $2\$"; }
in_json() { in_host "$1" curl -s -H "Accept: application/json" http://127.0.0.1:6784/status | matches "\"encryption\": *$2"; }

# says HOST on|off, everywhere
says() {
    ctl "$1" status | matches "^encryption: *$2\$" || return 1
    if [[ $2 == off ]]; then
        warned "$1" && metric "$1" 0 && in_json "$1" false
    else
        ! warned "$1" && metric "$1" 1 && in_json "$1" true
    fi
}

# traffic FROM TO ADDRESS: pings and a transfer of the marker, with a capture; what the underlay saw is in $folder/wire.pcap
traffic() {
    capture_begin
    expect "pings of $1, none lost" pings "$1" "$3" 20
    expect "pings of 1,300 bytes" pings "$1" "$3" 3 -s 1300 -M "do"
    server "$2" socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat,trunc
    eventually 3 listening "$2" 7001
    expect "a TCP transfer of the marker" in_pod "$1" socat -u OPEN:"$folder/sent" TCP:"$3":7001
    expect "it arrived unchanged" eventually 3 cmp "$folder/sent" "$folder/received"
    capture_end
    seen=$(occurrences "$marker" "$folder/wire.pcap")
}

no_drops() {
    local one reason
    for one in "$@"; do
        for reason in bad_tag replayed malformed_record unknown_record; do
            ctl "$one" status drops | matches "^0 *$reason " || { ctl "$one" status drops; fail "host $one dropped some: $reason"; }
        done
    done
}

host a 1
host b 2
step "both hosts in clear"
start a --clear
start b --clear "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
traffic p1 p2 10.32.0.2
[[ $seen -ge 1000 ]] || fail "the marker is on the underlay $seen times only"
expect "TCP over IPv4" transfer p1 p2 10.32.0.2 -t 1
expect "TCP over IPv6, other direction" transfer p2 p1 fd32::1 -t 1
for one in "a b" "b a"; do
    # shellcheck disable=SC2086
    expect "the peer's cipher is 'clear': $one" is_clear $one
    expect "host ${one% *} says so" says "${one% *}" off
    matches "event=encryption_off" <"$folder/${one% *}/run/weaved.log" || fail "the log of host ${one% *} does not say so"
done
no_drops a b

step "host b is taken over, and stays in clear"
again() { in_host b "$launch" restart --run-dir "$folder/b/run" --state-dir "$folder/b/state" --name b "$@"; }
expect "restart" again --clear
tail -n 50 "$folder/b/run/weaved.log" | matches "event=handed_over" || fail "it was not taken over"
expect "pings pass" pings p1 10.32.0.2 5
expect "in clear, still" is_clear a b

step "host b encrypts from now on"
expect "restart without --clear" again
grep -q "weaved is stopped and started, as it cannot be taken over: --clear is off and the weaved that runs has on" \
    "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say why"; }
expect "pings pass again" eventually 5 pings p1 10.32.0.2
traffic p1 p2 10.32.0.2
[[ $seen -eq 0 ]] || fail "the marker is readable on the underlay"
traffic p2 p1 10.32.0.1
[[ $seen -eq 0 ]] || fail "the marker is readable on the underlay"
expect "bulk" transfer p2 p1 fd32::1 -t 1
expect "host a sees a cipher" is_sealed a b
expect "host b sees a cipher" is_sealed b a
expect "host a is off, for others" says a off
expect "host b is on" says b on
no_drops a b

step "and clears again, while host a encrypts"
expect "host b" again --clear
expect "host a, too, is stopped and started" in_host a "$launch" restart --run-dir "$folder/a/run" --state-dir "$folder/a/state" --name a
expect "pings pass again" eventually 10 pings p1 10.32.0.2
traffic p1 p2 10.32.0.2
[[ $seen -eq 0 ]] || fail "the marker is readable on the underlay"
expect "host a sees a cipher" is_sealed a b
expect "host a is on" says a on
expect "host b is off, for others" says b off
no_drops a b
