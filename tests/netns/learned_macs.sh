#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A guest on the bridge, with a MAC that nobody attached: it is learned where it speaks, its first live owner
# keeps it, and it moves to another host once that owner has given it up.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin sysctl

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "p1 reaches p2" eventually 5 pings p1 10.32.0.2

guest_mac=02:00:00:00:00:99
link_local() { in_pod "$1" ip -6 -o address show dev eth0 scope link | grep -o 'fe80::[0-9a-f:]*'; }
# By its link-local address, as all others would have to be given to a pod.
reaches() { pings "$1" "$(link_local "$2")%eth0"; }
to_guest=fe80::ff:fe00:99%eth0

step "the guest speaks on a"
guest a g1 $guest_mac
expect "the guest reaches p2 on the other host" eventually 5 reaches g1 p2
expect "and is reached" pings p2 "$to_guest" 20
expect "also from its own host" pings p1 "$to_guest"

step "another of the same MAC speaks on b"
guest b g2 $guest_mac
twin() { in_pod g2 ping -n -c 1 -W 1 "$(link_local p1)%eth0"; }
for _ in 1 2 3; do
    refuse "it reaches nobody" twin
done
expect "it is counted" eventually 3 counted b source_not_attached 3
expect "the first one is still reached from b" pings p2 "$to_guest" 20

step "the first one is gone"
# Its port goes down with it, sooner than the bridge forgets who is silent.
ip -n "$prefix-g1" link set eth0 down
expect "the guest on b is heard" eventually 10 reaches g2 p1
expect "and reached" eventually 3 pings p1 "$to_guest" 20
