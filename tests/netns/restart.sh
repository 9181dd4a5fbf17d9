#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A router that restarts, crashes, or loses its TAP device during a TCP transfer: the transfer goes on.
source "$(dirname "$0")/lib.sh"
begin socat

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2

step "a transfer that lasts until it is told to end"
server p2 socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening p2 7001
in_pod p1 sh -c "until [ -e '$folder/enough' ]; do head -c 1000000 /dev/urandom | tee -a '$folder/sent'; sleep 0.05; done |
    socat -u - TCP:10.32.0.2:7001" &
sender=$!
background+=("$sender")
size() { stat -c %s "$folder/received" 2>/dev/null || echo 0; }
# goes_on WHEN: bytes arrive, on the connection that was made above
goes_on() {
    local before
    before=$(size)
    arrives() { [[ $(size) -gt $before ]]; }
    expect "bytes arrive $1" eventually 20 arrives
    kill -0 "$sender" || fail "the sender has ended"
}

goes_on "before the restart"
# shellcheck disable=SC2046
expect "host b restarts" in_host b "$launch" restart $(folders b)
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
goes_on "after it"

step "host a crashes and starts over what it left"
goes_on "before the crash"
kill -KILL "$(router_pid a)"
start a
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
goes_on "after it"

step "the TAP device of host a is removed"
goes_on "before that"
pid=$(router_pid a)
sleep 5 # one that was not there for as long is not made anew
in_host a ip link delete weave-tap
made_anew() { ctl a status drops | matches "^ *1 *tap_removed"; }
expect "it is made anew, which is counted" eventually 5 made_anew
[[ $(router_pid a) == "$pid" && -d /proc/$pid ]] || fail "it is another process"
expect "and said" grep "event=tap_removed interface=weave-tap" "$folder/a/run/weaved.log"
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
goes_on "after it"

step "the TAP device is removed as soon as it is there"
restart a --stop-first >/dev/null
pid=$(router_pid a)
in_host a ip link delete weave-tap
ended() { [[ ! -d /proc/$pid ]]; }
expect "weaved ends" eventually 5 ended
expect "and says why" grep "the TAP device weave-tap was removed: start weaved again" "$folder/a/run/weaved.log"
start a
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
goes_on "after it"

step "the end"
touch "$folder/enough"
sender_ended() { ! kill -0 "$sender" 2>/dev/null; }
expect "the sender ends" eventually 20 sender_ended
expect "the same TCP session brought all $(stat -c %s "$folder/sent") bytes" eventually 20 cmp "$folder/sent" "$folder/received"
