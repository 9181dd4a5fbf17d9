#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weaved is killed in the middle of traffic and started again: its TAP queues and sockets outlive it in a small process
# that has no key, sessions are made anew, and connections of pods go on.
source "$(dirname "$0")/lib.sh"
begin iperf3 python3

host a 1
host b 2
start a --lanes 2
start b --lanes 2 "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
log() { cat "$folder/$1/run/weaved.log"; }
tap_index() { in_host "$1" cat /sys/class/net/weave-tap/ifindex; }
# holder HOST: the process that holds the descriptors of that host's weaved
holder() {
    local comm pid
    for comm in /proc/[0-9]*/comm; do
        pid=${comm#/proc/} pid=${pid%/comm}
        if [[ $(cat "$comm" 2>/dev/null) == weave-holder ]] && tr '\0' '\n' <"/proc/$pid/cmdline" | matches -xF "$folder/$1/run"; then
            echo "$pid"
        fi
    done
}
has_holder() { [[ -n $(holder "$1") ]]; }
no_holder() { [[ -z $(holder "$1") ]]; }
# holds HOST: its holder has got a queue of the TAP
holds() { [[ -n $(holder "$1") && -n $(find "/proc/$(holder "$1")/fd" -lname '*/net/tun') ]]; }
# A router that has just started may not have given them away yet.
crash() {
    eventually 3 holds "$1" || fail "nobody holds what host $1 has open"
    kill -KILL "$(router_pid "$1")"
}

step "a process of its own holds them"
expect "it runs" eventually 3 has_holder b
keeper=$(holder b)
queues=4 # each of two lanes has one beside it for sparse flows
[[ ${WEAVE_FAST_PATH:-} != af_xdp ]] || queues=2
[[ $(find "/proc/$keeper/fd" -lname '*/net/tun' | wc -l) == "$queues" ]] || fail "it does not hold $queues queues"
grep -q '^CapEff:[[:space:]]*0*$' "/proc/$keeper/status" || fail "it has capabilities"
[[ $(stat -c %a "$folder/b/run/holder.sock") == 600 ]] || fail "others may connect"
has_secret() { # PID: whether the cluster's secret, or what is made of it in the file, lies in its memory
    python3 - "$1" "$folder/b/state/cluster.json" "$folder/b/state/identity.key" <<'PY'
import json, re, sys
needles = [bytes.fromhex(found) for file in sys.argv[2:] for found in re.findall(r"\b[0-9a-f]{64}\b", open(file, errors="replace").read())]
raw = open(sys.argv[3], "rb").read()
needles += [raw[-32:]] if len(raw) >= 32 else []
assert needles, "nothing to look for"
found = False
with open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in open(f"/proc/{sys.argv[1]}/maps"):
        span, mode = line.split()[:2]
        if not mode.startswith("rw"):
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        if end - start > 1 << 30:
            continue  # a sanitizer's own
        try:
            memory.seek(start)
            bytes_there = memory.read(end - start)
        except OSError:
            continue
        found = found or any(needle in bytes_there for needle in needles)
sys.exit(0 if found else 1)
PY
}
expect "a secret can be found in the router's memory" has_secret "$(router_pid b)"
refuse "and none in the holder's" has_secret "$keeper"

step "kill -9 and start, four times, under a transfer"
server p2 iperf3 -s -1 -p 5301
eventually 3 listening p2 5301
in_pod p1 iperf3 -C cubic -c 10.32.0.2 -p 5301 -t 12 >"$folder/transfer" 2>&1 &
transferring=$!
background+=("$transferring")
sleep 1
for one in b a b a; do
    before=$(tap_index $one)
    crash $one
    start $one --lanes 2
    expect "pings pass on $one" eventually 2 pings p1 10.32.0.2
    expect "on the same interface" test "$(tap_index $one)" == "$before"
    log $one | matches "event=descriptors_found queues=$queues" || fail "the log does not say so"
done
expect "the transfer goes on to its end" wait "$transferring"
[[ $(holder b) == "$keeper" ]] || fail "the holder is another one"

step "a holder that dies is replaced"
kill -KILL "$keeper"
another() { [[ -n $(holder b) && $(holder b) != "$keeper" ]]; }
expect "another runs" eventually 10 another
expect "nobody noticed" pings p1 10.32.0.2 3

step "takeovers and the holder"
# shellcheck disable=SC2046
expect "host b is taken over" in_host b "$launch" restart $(folders b)
sleep 0.3
before=$(tap_index b)
crash b
start b --lanes 2
expect "a crash after it" eventually 2 pings p1 10.32.0.2
[[ $(tap_index b) == "$before" ]] || fail "the interface is another one"

step "what no longer fits is let go"
crash b
start b --lanes 1
expect "with fewer lanes" eventually 3 pings p1 10.32.0.2
crash b
in_host b ip link delete weave-tap
start b --lanes 1
expect "with an interface that was removed meanwhile" eventually 3 pings p1 10.32.0.2

step "the end"
expect "stop" stop b
expect "the holder ends with it" eventually 2 no_holder b
[[ ! -e $folder/b/run/holder.sock ]] || fail "its socket is left"
in_host b ip link show weave-tap 2>/dev/null | matches weave-tap && fail "the interface is left"
crash a
has_holder a || fail "no holder after a crash"
expect "stop after a crash" stop a
expect "ends the holder too" eventually 2 no_holder a
