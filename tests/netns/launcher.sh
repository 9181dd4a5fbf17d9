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

step "what the environment says"
from_environment() { in_host b env WEAVE_MTU=1300 WEAVE_LISTEN="192.168.77.2, fd77::2" WEAVE_ADVERTISE=192.168.77.2 WEAVE_PORT=6790 "$@"; }
mtu_is() { in_host "$1" ip link show dev "$2" | grep -q "mtu $3 "; }
expect "stop" on b stop
server b socat -u UDP-RECV:6790,bind=192.168.77.2 -
eventually 3 listening_udp b 6790
# shellcheck disable=SC2046
refuse "a taken port of the environment's" from_environment "$launch" start $(folders b)
says "UDP port 6790 is in use"
kill "${background[-1]}"
# shellcheck disable=SC2046
expect "start" eventually 3 from_environment "$launch" start $(folders b)
expect "restart without it" on b restart
expect "the MTU is kept" mtu_is b weave 1300
expect "the port and the addresses too" grep -qz -e fd77::2 -e 6790 "$folder/b/run/weaved.args"
host c 3
# shellcheck disable=SC2046
expect "a first host" in_host c env WEAVE_ADVERTISE="192.0.2.9 192.0.2.10" WEAVE_PORT=6790 "$launch" start $(folders c)
says "start --token-file - 192.0.2.9:6790"

step "options for a router that runs"
expect "start with options" on b start --mtu 1310 --bridge other --tap other-tap
says "take effect with 'weave-launch restart'"
expect "start without" on b start
expect "they are not lost" on b restart
expect "the new bridge" mtu_is b other 1310

step "words"
refuse "an unknown command" "$launch" bogus --x
says "unknown command 'bogus'"
if command -v setpriv >/dev/null; then
    chmod 0755 "$folder"
    refuse "a token for another user" setpriv --reuid 65534 --clear-groups "$launch" token --state-dir "$folder/a/state"
    says "only root"
fi

step "reset"
in_host b ip link add theirs type bridge
in_host b ip link add wv0 type veth peer name theirs-peer
expect "start with other names" on b restart --bridge third --tap third-tap
pod b p3 10.32.0.3/12
touch "$folder/b/state/cluster.json.bak"
expect "reset" on b reset
expect "reset again" on b reset
for name in weave other third third-tap; do
    refuse "the interface $name is gone" in_host b ip link show "$name"
done
refuse "the pods' interfaces are gone" in_host b sh -c "ip -o link show type veth | grep -ve eth0 -e wv0 -e theirs | grep ."
expect "others' bridge is there" in_host b ip link show theirs
expect "others' interface is there" in_host b ip link show wv0
[[ $(ls "$folder/b/state") == cluster.json.bak ]] || fail "the state folder holds: $(ls "$folder/b/state")"

step "reset with what others made"
in_host b ip link add weave type bridge
install -m 0600 "$folder/the-token" "$folder/cluster-elsewhere"
expect "start" on b start --cluster-file "$folder/cluster-elsewhere"
expect "reset" on b reset
says "is left"
expect "their bridge of our name is there" in_host b ip link show weave
[[ -e $folder/cluster-elsewhere ]] || fail "the cluster file elsewhere is gone"
