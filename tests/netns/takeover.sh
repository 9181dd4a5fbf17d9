#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A router is replaced by another process in the middle of traffic: nothing is lost, and no session is made anew. Who asks
# for it and does not fit, or dies in the middle, changes nothing, or costs new keys at most.
source "$(dirname "$0")/lib.sh"
begin iperf3 python3

host a 1
host b 2
start a --lanes 2
start b --lanes 2 "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
field() { ctl "$1" -o json status | python3 -c "import json, sys; print(json.load(sys.stdin)['$2'])"; }
log() { cat "$folder/$1/run/weaved.log"; }
drops() { ctl "$1" status drops | awk -v name="$2" '$2 == name { print $1 }'; }

# pings_go_on: a thousand a second until pings_end, which fails when one was not answered
pings_go_on() {
    ip netns exec "$prefix-p1" ping -n -i 0.001 10.32.0.2 >"$folder/pings" 2>&1 &
    pinging=$!
    background+=("$pinging")
    sleep 0.5
}
# Off and on an interface AF_XDP loses what is in its queue at that moment (docs/fast-path.md).
may_be_lost=0
[[ ${WEAVE_FAST_PATH:-} != af_xdp ]] || may_be_lost=20
pings_end() {
    local answered lost
    sleep 0.5
    kill -INT "$pinging"
    wait "$pinging" || true
    # The last one may have been on its way.
    read -r answered lost < <(sed -n 's/.* icmp_seq=\([0-9]*\) .*/\1/p' "$folder/pings" |
        awk '{ count++; if ($1 > last) last = $1 } END { print count, last - count }')
    echo "$answered pings were answered, $lost were not"
    [[ $answered -gt 100 && $lost -le $may_be_lost ]] || fail "pings were lost"
}

step "both hosts in turn, under pings, three times"
handshakes=$(field a handshakes_total)
pings_go_on
for one in b a b; do
    before=$(router_pid $one)
    expect "host $one is taken over" restart $one
    gone() { [[ ! -d /proc/$before ]]; }
    expect "by another process" test "$(router_pid $one)" != "$before"
    expect "that of before has ended" eventually 3 gone
    ctl $one status >/dev/null || fail "it does not answer"
done
pings_end
log b | matches "event=handed_over" || fail "the log does not say so"
[[ $(field b handshakes_total) == 0 ]] || fail "host b made new keys"
expect "no session was made anew: host a counts from its own takeover on" test "$(field a handshakes_total)" -le "$handshakes"
expect "IPv6 too" pings p1 fd32::2 5
connected() { [[ $(field "$1" connections_established) -ge 1 ]]; }
for one in a b; do
    expect "control connections are back on $one" eventually 5 connected $one
done

step "in the middle of a transfer"
server p2 iperf3 -s -1 -p 5301
eventually 3 listening p2 5301
in_pod p1 iperf3 -J -C cubic -c 10.32.0.2 -p 5301 -t 4 -i 0.1 >"$folder/transfer.json" &
transferring=$!
background+=("$transferring")
pings_go_on
sleep 1
expect "host b is taken over" restart b
expect "host a is taken over" restart a
wait "$transferring" || { cat "$folder/transfer.json"; fail "the transfer ended"; }
pings_end
for one in a b; do
    for reason in bad_tag replayed no_session key_expired wrong_lane source_not_owned; do
        [[ $(drops $one $reason) == 0 ]] || fail "host $one dropped $(drops $one $reason) under $reason"
    done
done

step "a service manager is told of the new process by the one before, while that lives"
stop b >/dev/null
in_background "$(dirname "$0")/tools/notify_socket.py" "$folder/notify" >"$folder/told"
eventually 3 test -S "$folder/notify" || fail "there is no notification socket"
export NOTIFY_SOCKET=$folder/notify
start b --lanes 2 "$(address a)"
before=$(router_pid b)
expect "its start is told" eventually 3 grep -q "^$before READY=1 MAINPID=$before$" "$folder/told"
expect "host b is taken over" restart b
unset NOTIFY_SOCKET
expect "the successor is named" eventually 3 grep -q "^$before MAINPID=$(router_pid b)$" "$folder/told"
expect "and speaks for itself" eventually 3 grep -q "^$(router_pid b) READY=1 MAINPID=$(router_pid b)$" "$folder/told"
expect "pings pass" eventually 5 pings p1 10.32.0.2

step "pods, addresses and the range go on"
expect "attach" ctl b attach "/run/netns/$prefix-p2" 10.32.9.9/12
expect "its new address" eventually 5 pings p1 10.32.9.9
expect "host b is taken over" restart b
expect "still there" pings p1 10.32.9.9 3
expect "and known there" ctl b status attachments
grep -q 10.32.9.9 "$folder/last.out" || fail "the attachment is not shown"
pod b p3 10.32.0.3/12
expect "a new pod" eventually 5 pings p1 10.32.0.3

step "another cipher provider"
used() { ctl "$1" -o json status | python3 -c "import json, sys; print(*[c['provider'] for c in json.load(sys.stdin)['ciphers'] if c['state'] == 'used'])"; }
log a | matches "event=cipher suite=ChaCha20-Poly1305 provider=libsodium" || fail "the log does not say what was measured"
pings_go_on
for provider in openssl libsodium ipsec-mb; do
    if log a | matches "event=cipher suite=AES-256-GCM provider=$provider"; then
        expect "host b goes on with $provider" restart b --lanes 2 --cipher-provider $provider
        log b | tail -n 50 | matches "event=handed_over" || fail "it was not taken over"
        expect "it is used" test "$(used b)" = "$provider $provider"
        ctl b status | matches "^cipher: *AES-256-GCM by $provider, [1-9][0-9]* ns for a record of 1420 bytes, [1-9][0-9]* ns for 64$" ||
            fail "status does not say so"
    fi
done
pings_end
for one in a b; do
    [[ $(drops $one bad_tag) == 0 ]] || fail "host $one could not open a record"
done

step "options that can change do, others need a stop and are named"
expect "another log level" restart b --lanes 2 --log-level debug
log b | tail -n 50 | matches "event=handed_over" || fail "it was not taken over"
expect "fewer lanes" restart b --lanes 1
grep -q "weaved is stopped and started, as it cannot be taken over: --lanes is 1.* and the weaved that runs has 2" \
    "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say why"; }
expect "pings pass again" eventually 5 pings p1 10.32.0.2
[[ $(field b lanes) == 1 ]] || fail "it has other lanes"
expect "stop first" restart b --stop-first
grep -q "weaved stopped" "$folder/last.out" || fail "it was not stopped"
expect "pings pass again" eventually 5 pings p1 10.32.0.2

step "nobody to take over from"
refuse "weaved --takeover" in_host a "$build/src/daemon/weaved" --takeover --run-dir "$folder/none" \
    --state-dir "$folder/a/state"
grep -q "^weaved: no weaved that could be taken over runs with --run-dir $folder/none: start this one without --takeover$" \
    "$folder/last.out" || fail "it does not say so"
[[ ! -e $folder/none ]] || fail "something was made"

step "who knocks and is none"
knock() { in_host b python3 "$(dirname "$0")/tools/successor.py" "$folder/b/run/takeover.sock" "$@" >"$folder/knock.out" 2>&1; }
before=$(router_pid b)
pings_go_on
[[ $(stat -c %a "$folder/b/run/takeover.sock") == 600 ]] || fail "others may connect"
knock silent || true
expect "one that says nothing is let go" grep -q closed "$folder/knock.out"
knock garbage || true
expect "garbage is refused" grep -q "does not hand over to this one" "$folder/knock.out"
knock huge || true
knock partial || true
expect "one that stops in the middle of a message is let go" grep -q closed "$folder/knock.out"
knock format || true
expect "another version is refused" grep -q "does not hand over to this one: stop it and start the new one" "$folder/knock.out"
knock misfit state_dir=/elsewhere || true
expect "other options are refused" grep -q -- "--state-dir is /elsewhere and the weaved that runs has" "$folder/knock.out"
chmod 0666 "$folder/b/run/takeover.sock"
chmod o+x "$folder" "$folder/b" "$folder/b/run"
in_host b setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 - "$folder/b/run/takeover.sock" format \
    <"$(dirname "$0")/tools/successor.py" >"$folder/knock.out" 2>&1 || true
expect "another user is refused" grep -q "user 65534 may not take over from user 0" "$folder/knock.out"
open=7 lanes=1 # the lock, and of each of two lanes a queue and two sockets
[[ ${WEAVE_FAST_PATH:-} != af_xdp ]] || open=4 lanes="1 with --no-sparse-lanes"
fit=(state_dir="$(realpath "$folder/b/state")" cluster="$(field b cluster_id)" port=6783 listen= bridge=weave tap=weave-tap lanes="$lanes" clear=off)
knock vanish "${fit[@]}" || true
expect "one that goes when it has the state" grep -q "^state [0-9]* $open$" "$folder/knock.out"
pings_end
for name in takeover_malformed takeover_of_other_format takeover_of_other_user takeover_refused takeover_failed; do
    [[ $(drops b $name) -ge 1 ]] || fail "$name is not counted"
done
[[ $(router_pid b) == "$before" && -d /proc/$before ]] || fail "it is another process"

step "one that goes when it has the keys"
handshakes=$(field b handshakes_total)
knock abandon "${fit[@]}" || true
expect "it had them" grep -q "^progress" "$folder/knock.out"
expect "pings pass again" eventually 5 pings p1 10.32.0.2
[[ $(field b handshakes_total) -gt $handshakes ]] || fail "the old keys are in use"
log b | matches "event=takeover_undone" || fail "the log does not say so"
expect "and it can be taken over" restart b
log b | tail -n 20 | matches "event=handed_over" || fail "it was not"
expect "pings pass" pings p1 10.32.0.2 5

step "a reload by its signal, and another before the first is done"
before=$(router_pid b)
kill -HUP "$before"
kill -HUP "$before"
expect "it is taken over" eventually 10 gone
alone() { [[ $(pgrep -c -f "^$build/src/daemon/weaved .*--run-dir $folder/b/run") == 1 ]]; }
expect "by one process" eventually 15 alone
expect "which answers" eventually 10 ctl b status
expect "pings pass" eventually 5 pings p1 10.32.0.2 5
