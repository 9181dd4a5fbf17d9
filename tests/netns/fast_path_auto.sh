#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# --fast-path=auto: an interface that would lose its segmentation offload is left alone, another one is tried under traffic
# and served by whichever way carried more.
source "$(dirname "$0")/lib.sh"
begin iperf3 jq

rows() { ctl "$1" -o json status | jq -r '.fast_paths[] | "\(.interface) \(.path): \(.reason)"'; }
says() { rows "$1" | matches "$2"; }
program_on() { ip -n "$prefix-$1" -d link show "$2" | matches 'prog/xdp'; }

export WEAVE_FAST_PATH=auto
host a 1
host b 2
# The underlay of c is a bridge, which has no place for native programs and nothing to lose.
host c 3
ip -n "$prefix-c" link add br0 type bridge
ip -n "$prefix-c" address flush dev eth0
ip -n "$prefix-c" link set eth0 master br0
ip -n "$prefix-c" address add 192.168.77.3/24 dev br0
ip -n "$prefix-c" link set br0 up
ip -n "$prefix-c" route add default via 192.168.77.1
start a
start b "$(address a)"
start c "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
pod c p3 10.32.0.3/12
for one in "p1 10.32.0.2" "p3 10.32.0.1"; do
    # shellcheck disable=SC2086
    expect "pings: $one" eventually 10 pings $one
done
[[ $(ctl a -o json status | jq -r .fast_path) == auto ]] || fail "host a says another mode"
expect "nothing is tried without traffic" eventually 10 says a "^eth0 sockets: no trial yet, for want of traffic"

step "a veth would lose its offloads"
expect "a transfer" transfer p1 p2 10.32.0.2 -t 5
for one in a b; do
    expect "host $one says so" eventually 3 says $one "^eth0 sockets: a program here would take TSO and USO from the other end"
    program_on $one eth0 && fail "there is a program on host $one"
done

step "a bridge is tried"
settled() { says c "^br0 .* where sockets carry"; }
transfer p3 p1 10.32.0.1 -t 15 >"$folder/transfer.out" &
sending=$!
background+=("$sending")
expect "it is decided" eventually 15 settled
wait "$sending" || { cat "$folder/transfer.out"; fail "the transfer ended"; }
rows c
if says c "^br0 af_xdp generic copy: carries"; then
    expect "it is served so" program_on c br0
else
    expect "by the sockets" says c "^br0 sockets: carried"
    program_on c br0 && fail "the program is still there"
fi
expect "pings go on" pings p3 10.32.0.1 20

step "another link is another matter"
ip -n "$prefix-c" link set br0 mtu 1400
expect "what was found counts no more" eventually 10 says c "^br0 sockets: no trial yet"
expect "pings go on" eventually 5 pings p3 10.32.0.1 10
