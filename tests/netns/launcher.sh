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

step "tokens that are not whole"
sha() { sha256sum <"$folder/$1/state/cluster.json"; }
before=$(sha b)
head -c 75 "$folder/the-token" >"$folder/half"
refuse "half a token for a router that runs" on b start --token-file "$folder/half"
says "no whole cluster file"
refuse "half a token at a restart" on b restart --token-file "$folder/half"
[[ $(sha b) == "$before" ]] || fail "the good cluster file is gone"
expect "the router still runs" on b status
refuse "an empty name" on b start --token-file ""
says "token-file is empty"
for option in --run-dir= --state-dir= --cluster-file=; do
    refuse "$option" on b start "$option"
    says "${option%=} is empty"
done
expect "the same token again" on b start --token-file "$folder/the-token"
grep -q "takes effect" "$folder/last.out" && fail "it says that something changed"
sed 's/"secrets":\[/&{"id":2,"key":"'"$(printf %064d 7)"'"},/' "$folder/the-token" >"$folder/second"
expect "a token with a second secret" on b start --token-file "$folder/second"
says "cluster file takes effect with 'weave-launch restart'"
expect "with the old one again" on b start --token-file "$folder/the-token"

step "a router of the same folders in another mount namespace"
host m 5
server m unshare -m sh -c "mount -t tmpfs none '$folder/a' && mkdir '$folder/a/state' &&
    install -m 0600 '$folder/the-token' '$folder/a/state/cluster.json' &&
    exec '$build/src/daemon/weaved' --run-dir '$folder/a/run' --state-dir '$folder/a/state' --bridge weave-m"
foreign=${background[-1]}
eventually 5 grep -q event=started "$folder/m.out" || { cat "$folder/m.out"; fail "the other router does not run"; }
own=$(router_pid a)
rm "$folder/a/run/weaved.pid"
expect "status" on a status
says "process $own"
expect "stop" on a stop
expect "stop again" on a stop
says "not running"
[[ -d /proc/$foreign ]] || fail "the router of another container was ended"
kill "$foreign"
expect "start" on a start

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
ip -n "$prefix-a" route add blackhole 10.40.0.0/16
refuse "an overlapping blackhole" on a start
says "overlaps this host's route"
ip -n "$prefix-a" route delete blackhole 10.40.0.0/16
ip -n "$prefix-a" address add 10.40.0.1/32 dev lo
refuse "an address within the range" on a start
says "contains this host's address 10.40.0.1 on lo"
ip -n "$prefix-a" address delete 10.40.0.1/32 dev lo
ip -n "$prefix-a" -6 route add fd99:1::/120 via fd77::2 dev eth0
refuse "an overlapping IPv6 route" on a start --ipalloc-range6 fd99:1::/64
says "the pod range fd99:1::/108 overlaps this host's route 'fd99:1::/120 via fd77::2 dev eth0': choose another --ipalloc-range6"
host d 4
secret d
ip -n "$prefix-d" -6 address add fd99:1::7/128 dev lo
refuse "an IPv6 address within the range, weaved itself" in_host d "$build/src/daemon/weaved" --run-dir "$folder/d/run" \
    --state-dir "$folder/d/state" --ipalloc-range6 fd99:1::/64
says "^weaved: the pod range fd99:1::/108 contains this host's address fd99:1::7 on lo: choose another --ipalloc-range6"
refuse "no bridge is left" in_host d ip link show weave
ip -n "$prefix-d" -6 address delete fd99:1::7/128 dev lo
# The halves of a default route, as tunnels to everywhere add them.
ip -n "$prefix-d" route add 0.0.0.0/1 dev eth0
expect "half of all addresses is no overlap" on d start
expect "reset" on d reset
ip -n "$prefix-d" route delete 0.0.0.0/1
if command -v setpriv >/dev/null; then
    for capability in net_admin sys_admin; do
        refuse "without $capability" in_host d setpriv --bounding-set "-$capability" "$launch" start \
            --run-dir "$folder/d/run" --state-dir "$folder/d/state"
        says "lacks CAP_${capability^^}"
        [[ ! -e $folder/d/state ]] || fail "a cluster file was made"
    done
fi
for port in 6784 6785; do
    server d socat -u TCP-LISTEN:$port,bind=127.0.0.1,fork -
    eventually 3 listening d $port
    refuse "the taken port $port" on d start --metrics-listen 127.0.0.1:6785
    says "TCP port $port is in use"
    secret d
    refuse "weaved itself" in_host d "$build/src/daemon/weaved" --run-dir "$folder/d/run" --state-dir "$folder/d/state" \
        --metrics-listen 127.0.0.1:6785
    says "cannot listen for HTTP on 127.0.0.1:$port"
    refuse "no bridge is left" in_host d ip link show weave
    kill "${background[-1]}"
    rm -rf "$folder/d/state"
done
server a socat -u UDP-RECV:6783 -
eventually 3 listening_udp a 6783
refuse "a taken port" on a start
says "UDP port 6783 is in use"
kill "${background[-1]}"

step "what the environment says"
from_environment() { in_host b env WEAVE_MTU=1300 WEAVE_LISTEN="192.168.77.2, fd77::2" WEAVE_ADVERTISE=192.168.77.2 WEAVE_PORT=6790 "$@"; }
mtu_is() { in_host "$1" ip link show dev "$2" | matches "mtu $3 "; }
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

step "the next line"
next_line() { grep -A1 "to add a host" "$folder/last.out" | tail -n 1; }
expect "stop" on c stop
expect "wildcards" on c start --listen 0.0.0.0,::
[[ $(next_line) == *" start --token-file - 192.168.77.3" ]] || fail "it says: $(next_line)"
expect "stop" on c stop
expect "a list, another cluster file and range" on c start --advertise 10.99.0.3,192.0.2.9 --ipalloc-range 10.99.0.0/20 \
    --cluster-file "$folder/c-cluster"
[[ $(next_line) == *"weave-launch token --state-dir $folder/c/state --cluster-file $folder/c-cluster | "* &&
    $(next_line) == *" start --token-file - --ipalloc-range 10.99.0.0/20 192.0.2.9" ]] || fail "it says: $(next_line)"
expect "stop" on c stop
expect "start with a peer" on c start --cluster-file "$folder/c-cluster" 192.0.2.1
[[ -z $(next_line) ]] || fail "it says: $(next_line)"
expect "reset" on c reset
[[ ! -e $folder/c-cluster ]] || fail "the cluster file that weave-launch made is left"

step "options for a router that runs"
expect "start with options" on b start --mtu 1310 --bridge other --tap other-tap
says "take effect with 'weave-launch restart'"
expect "start without" on b start
expect "they are not lost" on b restart
expect "the new bridge" mtu_is b other 1310

step "a restart that cannot be"
server b socat -u UDP-RECV:6799 -
eventually 3 listening_udp b 6799
refuse "a taken port" on b restart --port 6799
says "UDP port 6799 is in use"
expect "the router was not stopped" on b status
kill "${background[-1]}"
ip -n "$prefix-b" route add 10.98.0.0/24 dev eth0
refuse "a range in which there is a route" on b restart --ipalloc-range 10.98.0.0/16
says "overlaps this host's route '10.98.0.0/24 dev eth0'"
expect "the router was not stopped" on b status
ip -n "$prefix-b" route delete 10.98.0.0/24
refuse "a token of another cluster" on b restart --token-file <("$weavectl" genkey)
expect "the router was not stopped" on b status
expect "restart with a peer" on b restart 192.168.77.4
expect "the options are kept" mtu_is b other 1310
expect "the peer is known" sh -c "'$weavectl' --run-dir '$folder/b/run' status targets | grep 192.168.77.4"
cp "$folder/b/run/weaved.args" "$folder/args"
truncate -s -3 "$folder/b/run/weaved.args"
refuse "damaged options" on b restart
says "weaved.args, the options of the last start, is damaged: remove it"
expect "the router was not stopped" on b status
cp "$folder/args" "$folder/b/run/weaved.args"

step "other settings than the last time"
expect "the first host again" eventually 3 on a start
# Until then b does not know whether the address it is to give is a's.
connected() { ctl b status | grep '^connections:.* [1-9][0-9]* established'; }
expect "b is connected to it" eventually 20 connected
pod b p4 10.32.0.4/12
expect "expose" ctl b expose 10.32.9.2/12
expect "restart with another bridge" on b restart --bridge another --tap another-tap --mtu 1290
expect "the pod's interface came along" sh -c "ip -n $prefix-b -o link show type veth | grep 'weave|' | grep -q 'master another'"
expect "the pod is reached" eventually 20 pings p1 10.32.0.4
expect "the host too" eventually 20 pings p1 10.32.9.2
expect "the pod has the new MTU" mtu_is p4 eth0 1290
refuse "the old bridge is gone" in_host b ip link show other
expect "stop" on b stop
expect "start with one more bridge" on b start --bridge other --tap other-tap --mtu 1310
expect "the host is reached" eventually 20 pings p1 10.32.9.2
expect "the pod too" eventually 20 pings p1 10.32.0.4
pod b p5 --mode routed
expect "a restart with exposed addresses and pods of both modes is no overlap" on b restart
expect "the routed pod is reached" eventually 20 pings b "$(in_pod p5 ip -4 -o address show eth0 | sed 's/.* inet \([0-9.]*\).*/\1/')"
expect "a router of another range" on b restart --bridge other --tap other-tap --mtu 1310 --ipalloc-range 10.32.0.0/24
says "addresses of pods are outside the range 10.32.0.0/24"
grep -q 'event=addresses_outside_range.*outside the range 10.32.0.0/24' "$folder/b/run/weaved.log" || fail "the log does not name the event"
grep -q 'event=state_file_damaged' "$folder/b/run/weaved.log" && fail "the log takes it for a damaged file"
expect "hide" ctl b hide 10.32.9.2/12

step "words"
refuse "an unknown option" "$launch" start --bogus
says "bogus"
grep -q "needs a value" "$folder/last.out" && fail "it says that --bogus needs a value"
expect "the version" "$launch" start --version
says "^weaved "
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
pod b p3 172.30.0.3/16
touch "$folder/b/state/cluster.json.bak"
expect "reset" on b reset
expect "reset again" on b reset
in_host b nft list tables >"$folder/tables"
grep -w -e weave -e other -e another -e third "$folder/tables" && fail "nftables tables are left"
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
