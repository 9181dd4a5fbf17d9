#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Who has an address is answered from what the mesh knows, so that ARP and neighbour discovery for known addresses reach no
# other host; for all others they do, as in any Ethernet.
source "$(dirname "$0")/lib.sh"
begin python3 tcpdump

forge=$repository/tests/netns/tools/forge.py
host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod a p3 10.32.0.3/12 fd32::3/64
pod b p2 10.32.0.2/12 fd32::2/64
for address in 10.32.0.2 fd32::2; do
    expect "p1 reaches $address" eventually 5 pings p1 "$address"
done
mac_of() { in_pod "$1" cat /sys/class/net/eth0/address; }
neighbour() { in_pod "$1" ip neighbour show "$2" | grep -o 'lladdr [0-9a-f:]*'; }
# How many questions host $1 answered (or kept, with "here").
questions() {
    ctl "$1" report | python3 -c "import json, sys; print(sum(lane['neighbours_$2'] for lane in json.load(sys.stdin)['lanes']))"
}
# What the routers bring to the other host's pods, questions to all only.
for name in a b; do
    server "$name" tcpdump --immediate-mode -Z root -n -l -Q in -i weave-tap "ether multicast and (arp or (icmp6 and ip6[40] == 135))"
    eventually 5 grep -q listening "$folder/$name.out"
done
asked() { grep -c -i "who.has $2[ ,]" "$folder/$1.out" || true; }
was_asked() { [[ $(asked "$@") -ge 1 ]]; }
forget() {
    local name
    for name in p1 p2 p3; do
        in_pod "$name" ip neighbour flush all
        in_pod "$name" ip -6 neighbour flush all
    done
}

step "addresses of pods on the other host"
answered=$(questions a answered)
for _ in 1 2 3; do
    forget
    for address in 10.32.0.2 fd32::2; do
        expect "p1 reaches $address, knowing nobody" pings p1 "$address"
    done
done
for address in 10.32.0.2 fd32::2; do
    [[ $(neighbour p1 "$address") == "lladdr $(mac_of p2)" ]] || fail "p1 believes that $address is at $(neighbour p1 "$address")"
done
[[ $(questions a answered) -ge $((answered + 6)) ]] || fail "host a answered $(($(questions a answered) - answered)) of 6 questions"
echo "ok: host a answered, with the MAC of p2"

step "addresses of pods on the same host"
here=$(questions a here)
forget
for address in 10.32.0.3 fd32::3; do
    expect "p1 reaches $address" pings p1 "$address"
    [[ $(neighbour p1 "$address") == "lladdr $(mac_of p3)" ]] || fail "p1 believes that $address is at $(neighbour p1 "$address")"
done
[[ $(questions a here) -ge $((here + 2)) ]] || fail "host a kept $(($(questions a here) - here)) of 2 questions"
echo "ok: host a kept the questions"

step "addresses of nobody"
for address in 10.32.0.99 fd32::99; do
    refuse "nobody answers for $address" pings p1 "$address"
    expect "pods on b were asked" eventually 3 was_asked b "$address"
done

step "who means to take an address of another host learns that it is taken"
# A pod's port passes no question about an address of others, as it could never use one.
guest a g1 02:00:00:00:00:99
in_pod g1 sysctl -qw net.ipv6.conf.all.accept_dad=1 net.ipv6.conf.eth0.accept_dad=1
in_pod g1 ip address add fd32::2/64 dev eth0
failed() { in_pod g1 ip -6 address show dev eth0 | grep "fd32::2/64" | matches dadfailed; }
expect "the kernel says that it is a duplicate" eventually 5 failed
in_pod g1 ip address delete fd32::2/64 dev eth0
# A probe of RFC 5227: the sender is nobody yet.
in_pod p1 tcpdump --immediate-mode -Z root -n -l -i eth0 "arp and arp[6:2] == 2" >"$folder/probe.out" 2>&1 &
background+=($!)
eventually 5 grep -q listening "$folder/probe.out"
in_pod p1 python3 "$forge" who 1 "" source=0.0.0.0 target=10.32.0.2
expect "a probe is answered" eventually 3 grep -q -i "10.32.0.2 is-at $(mac_of p2)" "$folder/probe.out"

step "who asks in another's name"
answered=$(questions a answered)
for who in p1 g1; do
    in_pod $who python3 "$forge" who 5 "" source=10.32.0.77 target=10.32.0.2
    in_pod $who python3 "$forge" who 5 "" source=10.32.0.2 target=10.32.0.3
done
refused_at_port() { ctl a status drops | awk '$2 == "spoofed_arp" { exit !($1 >= 10) }'; }
expect "is refused at its port" eventually 3 refused_at_port
refused() { ctl b status drops | awk '$2 == "source_not_owned" { exit !($1 >= 10) }'; }
expect "is refused where it arrives" eventually 3 refused
[[ $(questions a answered) -eq $answered ]] || fail "host a answered who asked in another's name"
echo "ok: and got no answer"

step "what travelled"
for address in 10.32.0.1 10.32.0.2 10.32.0.3 fd32::1 fd32::2 fd32::3; do
    for name in a b; do
        # Announcements look like questions for the sender's own address.
        [[ $(grep -i "who.has ${address}[ ,]" "$folder/$name.out" | grep -v -c "tell $address,") -eq 0 ]] ||
            { cat "$folder/$name.out"; fail "a question for $address came to host $name"; }
    done
done
echo "ok: no question for a known address came to another host"

step "addresses of routed pods on the other host"
pod b r1 --mode routed
of() { in_pod r1 ip "-$1" -o address show dev eth0 scope global | sed 's/.* inet6\? \([^/]*\).*/\1/'; }
routed=("$(of 4)" "$(of 6)")
expect "p1 is on the routed pods' IPv6 network, too" ctl a attach "/run/netns/$prefix-p1" net:default
for address in "${routed[@]}"; do
    expect "p1 reaches $address" eventually 5 pings p1 "$address"
done
before=$(asked b "${routed[0]}")
answered=$(questions a answered)
for address in "${routed[@]}"; do
    in_pod p1 ip neighbour flush all
    in_pod p1 ip -6 neighbour flush all
    expect "p1 reaches $address, knowing nobody" pings p1 "$address"
    [[ $(neighbour p1 "$address") == "lladdr 02:77:76:00:00:01" ]] || fail "p1 believes that $address is at $(neighbour p1 "$address")"
done
[[ $(asked b "${routed[0]}") -eq $before ]] || fail "the question travelled"
[[ $(questions a answered) -ge $((answered + 2)) ]] || fail "host a answered $(($(questions a answered) - answered)) of 2 questions"
echo "ok: host a answered, with the router's MAC"
