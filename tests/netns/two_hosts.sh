#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Two hosts: pods talk over IPv4 and IPv6, nothing of it is in clear on the underlay.
source "$(dirname "$0")/lib.sh"
begin iperf3 tcpdump socat

step "two hosts, one pod each"
host a 1
host b 2
started=${EPOCHREALTIME/./}
start a
start b "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
elapsed=$(((${EPOCHREALTIME/./} - started) / 1000))
echo "first ping $elapsed ms after the first start"

step "traffic, with a capture on the underlay"
capture_begin
marker=weavemesh-marker-that-must-be-sealed
expect "IPv4 pings, none lost" pings p1 10.32.0.2 20
expect "IPv6 pings, none lost" pings p2 fd32::1 20
expect "a ping of 1,300 bytes" pings p1 10.32.0.2 3 -s 1300 -M "do"
expect "pings that carry the marker" pings p1 10.32.0.2 5 -s 64 \
    -p "$(printf '%.16s' "$marker" | od -An -tx1 | tr -d ' \n')"
server p2 socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening p2 7001
for _ in {1..1000}; do echo "$marker"; done >"$folder/sent"
expect "a TCP transfer of the marker" in_pod p1 socat -u OPEN:"$folder/sent" TCP:10.32.0.2:7001
expect "it arrived unchanged" eventually 3 cmp "$folder/sent" "$folder/received"
capture_end
[[ $(stat -c %s "$folder/wire.pcap") -gt 10000 ]] || fail "the capture saw next to nothing"
[[ $(occurrences weavemesh-marker "$folder/wire.pcap") -eq 0 ]] || fail "the marker is readable on the underlay"
echo "ok: the marker does not occur on the underlay"

step "bulk"
expect "TCP over IPv4" transfer p1 p2 10.32.0.2 -t 2
tail -n 4 "$folder/last.out"
expect "TCP over IPv6, other direction" transfer p2 p1 fd32::1 -t 2
tail -n 4 "$folder/last.out"

step "the status names the other host"
expect "peers" ctl a status peers
grep -q '^b .* direct ' "$folder/last.out" || fail "host b is not among a's peers"
expect "still pings" pings p1 10.32.0.2 5

step "a pod is detached and attached again"
one_line() {
    if [[ $(wc -l <"$folder/last.out") -ne 1 ]] || ! grep -q -F -e "$1" "$folder/last.out"; then
        cat "$folder/last.out"
        fail "it does not say '$1' in one line"
    fi
}
at_p1=/run/netns/$prefix-p1
attached() { ctl a status attachments | awk 'NR > 1' | wc -l; }
expect "detach" ctl a detach "$at_p1"
[[ $(attached) -eq 0 ]] || fail "the interface is still there"
refuse "ping without an interface" pings p1 10.32.0.2
expect "detach of what is gone" ctl a detach "$at_p1"
one_line "nothing of ours is in that namespace"
expect "attach again" ctl a attach "$at_p1" 10.32.0.1/12 fd32::1/64
expect "the ping passes again" eventually 5 pings p1 10.32.0.2
expect "a second interface" ctl a attach "$at_p1" 10.32.0.11/12 --ifname eth1
expect "detach of that one" ctl a -o json detach "$at_p1" --ifname eth1
grep -q eth1 "$folder/last.out" || fail "-o json does not name the interface"
[[ $(attached) -eq 1 ]] || fail "another number of interfaces than one is left"

step "an address has one holder"
expect "the same attach again" ctl a attach "$at_p1" 10.32.0.1/12 fd32::1/64
ip netns add "$prefix-p3"
refuse "attach of another pod's address" ctl a attach "/run/netns/$prefix-p3" 10.32.0.1/12
one_line "10.32.0.1 is in use on this node by interface wv"
refuse "expose of a pod's address" ctl a expose 10.32.0.1/12
one_line "10.32.0.1 is in use on this node by interface wv"
refuse "attach of an address of the other host" ctl b attach "/run/netns/$prefix-p3" 10.32.0.1/12
one_line "10.32.0.1 is in use on node a"
expect "expose" ctl a expose 10.32.0.101/24
expect "expose once more" ctl a expose 10.32.0.101/24
refuse "attach of an exposed address" ctl a attach "/run/netns/$prefix-p3" 10.32.0.101/12
one_line "10.32.0.101 is in use on this node by interface weave"
expect "hide" ctl a hide 10.32.0.101/24
expect "hide of what is not exposed any more" ctl a hide 10.32.0.101/24
one_line "10.32.0.101/24 is not exposed"

step "connect takes peers and nothing else"
ctl a status targets >"$folder/targets.before"
for word in "" "a b" $'a\nb' 1.2.3.4:99999 host:port; do
    refuse "connect to '${word//$'\n'/ }'" ctl a connect "$word"
    one_line "is not a peer"
done
expect "the targets" ctl a status targets
cut_names() { awk '{ print $1 }' "$1"; }
[[ $(cut_names "$folder/last.out") == "$(cut_names "$folder/targets.before")" ]] || fail "one of them became a target"
expect "a last ping" pings p1 10.32.0.2
