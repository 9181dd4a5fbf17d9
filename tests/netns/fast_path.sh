#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# AF_XDP on the underlay: all kinds of traffic pass by it, also to a host that has none; interfaces and neighbours change
# under it; nothing of it stays behind, and what others put there is left alone.
export WEAVE_NO_SPARSE_LANES=true # all of it past the kernel: sparse_flows.sh has both
source "$(dirname "$0")/lib.sh"
begin iperf3 python3 socat jq

filter=$build/src/fastpath/filter.bpf.o
status() { ctl "$1" -o json status; }
# fast HOST FIELD: of its first interface; nothing while it tells of none, as in its first moments
fast() { status "$1" | jq -r ".fast_paths[0].$2 // empty"; }
is_fast() { [[ $(fast "$1" path) == "af_xdp "* ]]; }
is_slow() { [[ $(fast "$1" path) == sockets ]]; }
says() { fast "$1" reason | matches "$2"; }
program_on() { ip -n "$prefix-$1" -d link show eth0 | matches 'prog/xdp'; }
no_program_on() { ! program_on "$1"; }
drops() { ctl "$1" status drops | awk -v name="$2" '$2 == name { print $1 }'; }

# moves HOST...: what goes past the kernel there grows in both directions while p1 pings p2
moves() {
    local one
    local -A sent=() received=()
    for one in "$@"; do sent[$one]=$(fast "$one" sent) received[$one]=$(fast "$one" received); done
    pings p1 10.32.0.2 20 || return 1
    for one in "$@"; do
        [[ $(fast "$one" sent) -ge $((sent[$one] + 20)) && $(fast "$one" received) -ge $((received[$one] + 20)) ]] || return 1
    done
}

host a 1
host b 2
start a --fast-path=af_xdp
start b --fast-path=af_xdp "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
for one in a b; do
    expect "host $one takes the fast path" eventually 10 is_fast $one
    expect "its program is on eth0" program_on $one
done
ctl a status | sed -n '/fast path/,/^drops/p'

step "all kinds of traffic"
expect "pings go by it" eventually 5 moves a b
expect "IPv6" pings p2 fd32::1 20
expect "pings of 1,300 bytes" pings p1 10.32.0.2 5 -s 1300 -M "do"
expect "pings that are fragmented" pings p2 10.32.0.1 5 -s 5000
expect "TCP" transfer p1 p2 10.32.0.2 -t 2
tail -n 4 "$folder/last.out"
expect "TCP, four flows, the other way, IPv6" transfer p1 p2 fd32::2 -t 2 -R -P 4
expect "UDP" transfer p2 p1 10.32.0.1 -t 2 -u -b 20M -l 1200
awk '/receiver/ { print; if ($0 !~ / 0\/|\(0%\)/) exit 1 }' "$folder/last.out" || fail "datagrams were lost"
head -c 200000000 /dev/urandom >"$folder/sent"
server p2 socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening p2 7001
expect "200 MB" in_pod p1 socat -u OPEN:"$folder/sent" TCP:10.32.0.2:7001
expect "arrive unchanged" eventually 5 cmp "$folder/sent" "$folder/received"
rm "$folder/sent" "$folder/received"
for one in a b; do
    for reason in bad_tag malformed_datagram send_failed too_big; do
        [[ $(drops $one $reason) == 0 ]] || fail "host $one dropped $(drops $one $reason) under $reason"
    done
    [[ $(fast $one stalls) == 0 ]] || fail "host $one stalled"
done

step "the other host goes by its kernel's sockets"
stop b >/dev/null
expect "host b left nothing" no_program_on b
start b --fast-path=off
expect "pings" eventually 10 moves a
expect "TCP to it" transfer p1 p2 10.32.0.2 -t 1
expect "TCP from it" transfer p2 p1 10.32.0.1 -t 1
status b | jq -e '.fast_path == "off" and .fast_paths == []' >/dev/null || fail "host b says otherwise"

step "a restart hands over, and the fast path comes back"
expect "restart" restart a
expect "pings" pings p1 10.32.0.2 5
expect "it is back" eventually 15 is_fast a
expect "pings go by it" eventually 5 moves a

step "a neighbour gets another MAC address"
ip -n "$prefix-b" link set eth0 address 02:00:00:00:77:02
expect "pings go on" eventually 5 pings p1 10.32.0.2 10
expect "by it" eventually 10 moves a

step "its interface gets another MAC address, and another MTU"
ip -n "$prefix-a" link set eth0 address 02:00:00:00:77:01
expect "it is back" eventually 15 moves a
ip -n "$prefix-a" link set eth0 mtu 1400
expect "and again" eventually 15 moves a
ip -n "$prefix-a" link set eth0 mtu 9000
expect "frames that no socket takes" eventually 10 says a "MTU of eth0, 9000"
expect "no program is there" no_program_on a
expect "pings" pings p1 10.32.0.2 5
ip -n "$prefix-a" link set eth0 mtu 1500

step "a crash leaves nothing behind"
expect "it is back" eventually 40 is_fast a
kill -KILL "$(router_pid a)"
expect "no program is there" eventually 2 no_program_on a
start a --fast-path=af_xdp
expect "it is back" eventually 15 moves a

step "the interface vanishes, and comes back"
ip -n "$prefix-a" link delete eth0
sleep 1
expect "the router answers" ctl a status
ip link add eth0 netns "$prefix-a" type veth peer name to-a netns "$underlay"
ip -n "$underlay" link set to-a master lan up
ip -n "$prefix-a" address add 192.168.77.1/24 dev eth0
ip -n "$prefix-a" link set eth0 up
expect "pings" eventually 20 pings p1 10.32.0.2
back() { status a | jq -e '[.fast_paths[] | select(.interface == "eth0" and (.path | startswith("af_xdp")))] | length == 1' >/dev/null; }
expect "it is back" eventually 20 back
expect "pings" pings p1 10.32.0.2 10

step "somebody else's program is left alone"
stop a >/dev/null
expect "nothing is left" no_program_on a
ip -n "$prefix-a" link set dev eth0 xdpgeneric object "$filter" section xdp
theirs=$(ip -n "$prefix-a" -d link show eth0 | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p')
[[ -n $theirs ]] || fail "no program could be attached for the test"
start a --fast-path=af_xdp
expect "pings" eventually 10 pings p1 10.32.0.2
expect "it is said" eventually 10 says a "an XDP program of somebody else, id $theirs, is attached to eth0 and left alone"
expect "the sockets serve" is_slow a
stop a >/dev/null
ip -n "$prefix-a" -d link show eth0 | matches "prog/xdp id $theirs" || fail "their program is gone"
echo "ok: it is still there"

step "a mode that is none"
if in_host b "$build/src/daemon/weaved" --fast-path=fast >"$folder/said" 2>&1; then fail "it is taken"; fi
grep -q "^weaved: --fast-path 'fast' is not one of auto, af_xdp, off" "$folder/said" || { cat "$folder/said"; fail "it says something else"; }
echo "ok: one sentence"
