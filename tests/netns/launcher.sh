#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weave-launch: starting twice, stopping twice, leftovers, tokens, a host that cannot run weaved.
source "$(dirname "$0")/lib.sh"
begin socat

host a 1
host b 2
# shellcheck disable=SC2046
on() { in_host "$1" "$launch" "$2" $(folders "$1") "${@:3}"; }
says() { grep -q -e "$1" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say '$1'"; }; }

step "a cluster by token"
expect "the first host starts" on a start
says "token .*| ssh NEXT-HOST weave-launch start --token-file - 192.168.77.1"
[[ $(stat -c %a "$folder/a/state/cluster.json") == 600 ]] || fail "the cluster file is not 0600"
on a token >"$folder/the-token"
refuse "a second host without a token" on b start "$(address a)"
says "token"
refuse "a file that is no token" on b start --token-file "$0" "$(address a)"
expect "with the token" on b start --token-file - "$(address a)" <"$folder/the-token"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "pods talk" eventually 5 pings p1 10.32.0.2
expect "status" on a status

step "twice"
expect "start again" on a start
says "already running"
expect "stop" on a stop
expect "stop again" on a stop
says "not running"
refuse "status when stopped" on a status

step "leftovers"
expect "start" on a start
kill -KILL "$(router_pid a)"
expect "start after a crash" on a start
kill -KILL "$(router_pid a)"
rm -f "$folder/a/run/weaved.pid"
expect "start after a crash with other settings" on a start --mtu 1300 --port 6790
expect "and back" on a restart --mtu 1376
expect "pods talk" eventually 8 pings p2 10.32.0.1
rm -f "$folder/a/run/weaved.pid"
expect "stop without the pid file" on a stop
says "stopped"

step "hosts that cannot"
ip -n "$prefix-a" route add 10.40.0.0/16 dev eth0
refuse "an overlapping route" on a start
says "overlaps this host's route"
ip -n "$prefix-a" route delete 10.40.0.0/16
server a socat -u UDP-RECV:6783 -
eventually 3 listening_udp a 6783
refuse "a taken port" on a start
says "UDP port 6783 is in use"

step "reset"
expect "reset" on b reset
expect "reset again" on b reset
refuse "the bridge is gone" in_host b ip link show weave
[[ ! -e $folder/b/state ]] || fail "the state folder is still there: $(ls "$folder/b/state")"
