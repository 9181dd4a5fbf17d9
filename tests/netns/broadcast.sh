#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Broadcast and multicast reach every other pod exactly once, and the underlay carries one copy per host.
source "$(dirname "$0")/lib.sh"
begin tcpdump socat

host a 1
host b 2
host c 3
start a
start b "$(address a)"
start c "$(address a)"
for number in 1 2 3 4; do
    case $number in 1) on=a ;; 2) on=b ;; *) on=c ;; esac
    pod "$on" "p$number" "10.32.0.$number/12"
done
for number in 2 3 4; do
    expect "p1 reaches p$number" eventually 5 pings p1 "10.32.0.$number"
done
expect "b and c are connected" eventually 5 pings p2 10.32.0.3

for number in 2 3 4; do
    server "p$number" tcpdump --immediate-mode -Z root -n -l -i eth0 "udp dst port 5555"
    eventually 5 grep -q listening "$folder/p$number.out"
done
arrived() { grep -c "$2.5555: UDP" "$folder/$1.out" || true; }
all_arrived() { [[ $(arrived "$@") -ge 20 ]]; }
for target in 10.47.255.255 239.1.2.3; do
    step "20 datagrams to $target"
    for _ in {1..20}; do
        in_pod p1 sh -c "echo hello | socat -u - UDP-DATAGRAM:$target:5555,broadcast,bind=10.32.0.1,ip-multicast-if=10.32.0.1"
    done
    for number in 2 3 4; do
        eventually 3 all_arrived "p$number" "$target" || true
        sleep 0.3
        [[ $(arrived "p$number" "$target") -eq 20 ]] || fail "p$number got $(arrived "p$number" "$target") of 20"
        echo "ok: p$number got each once"
    done
done
