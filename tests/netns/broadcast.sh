#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Broadcast and multicast reach every other pod exactly once, and the underlay carries one copy for each host that has
# pods, directly or through a relay.
source "$(dirname "$0")/lib.sh"
begin tcpdump socat ethtool

for host in "a 1" "b 2" "c 3" "d 4"; do
    # shellcheck disable=SC2086
    host $host
    # Else the underlay carries what one host has for another at a time as one packet.
    in_host "${host% *}" ethtool -K eth0 tx-udp-segmentation off
done
start a
start b "$(address a)"
start c "$(address a)"
start d "$(address a)" # no pods there
for number in 1 2 3 4; do
    case $number in 1) on=a ;; 2) on=b ;; *) on=c ;; esac
    pod "$on" "p$number" "10.32.0.$number/12" "fd32::$number/64"
done
for number in 2 3 4; do
    expect "p1 reaches p$number" eventually 5 pings p1 "10.32.0.$number"
done
expect "b and c are connected" eventually 5 pings p2 10.32.0.3
peers_direct() { ctl "$1" status | matches "^peers: *$2 direct"; }
expect "a reaches all hosts directly" eventually 5 peers_direct a 3

for number in 2 3 4; do
    server "p$number" tcpdump --immediate-mode -Z root -n -l -i eth0 "udp dst port 5555"
    eventually 5 grep -q listening "$folder/p$number.out"
done
# A datagram of 900 bytes over IPv4, or of 880 over IPv6, and nothing else here is this long when sealed: Ethernet,
# IP and UDP of the pod, record 4, data 32, UDP 8; through a relay 46 more.
sealed=$((900 + 42 + 4 + 32 + 8))
for name in b c d; do
    ip netns exec "$underlay" tcpdump --immediate-mode -Z root -n -l -Q out -i "to-$name" \
        "udp port 6783 and (udp[4:2] == $sealed or udp[4:2] == $((sealed + 46)) or (ip6 and (ip6[44:2] == $sealed or ip6[44:2] == $((sealed + 46)))))" \
        >"$folder/wire-$name.out" 2>&1 &
    background+=($!)
    eventually 5 grep -q listening "$folder/wire-$name.out"
done
arrived() { grep -c -F "$2.5555: UDP" "$folder/$1.out" || true; }
all_arrived() { [[ $(arrived "$@") -ge 20 ]]; }
# Datagrams to host $1, sent to itself ($2 = direct) or for others or itself through a relay ($2 = relayed).
copies() {
    local payload=$((sealed - 8))
    [[ $2 == direct ]] || payload=$((payload + 46))
    grep -c "length $payload\$" "$folder/wire-$1.out" || true
}
enough() { [[ $(copies "$1" "$2") -ge $3 ]]; }
carried() { # HOST KIND NUMBER; the capture may be behind
    eventually 5 enough "$@" || true
    [[ $(copies "$1" "$2") -eq $3 ]] || fail "host $1 was sent $(copies "$1" "$2") $2 copies, and $3 are right"
    echo "ok: host $1 was sent $3 $2 copies"
}
shout() {
    local target=$1 size=900 socket
    socket="UDP-DATAGRAM:$target:5555,broadcast,bind=10.32.0.1,ip-multicast-if=10.32.0.1"
    if [[ $target == ff* ]]; then
        size=880
        socket="UDP6-DATAGRAM:[$target]:5555,bind=[fd32::1]"
    fi
    step "20 datagrams to $target"
    for _ in {1..20}; do
        in_pod p1 sh -c "head -c $size /dev/zero | socat -u - $socket"
    done
    for number in 2 3 4; do
        eventually 3 all_arrived "p$number" "$target" || true
    done
    sleep 0.3
    for number in 2 3 4; do
        [[ $(arrived "p$number" "$target") -eq 20 ]] || fail "p$number got $(arrived "p$number" "$target") of 20"
        echo "ok: p$number got each once"
    done
}
sum=0
for target in 10.47.255.255 239.1.2.3 ff15::1:2; do
    shout "$target"
    sum=$((sum + 20))
    carried b direct "$sum"
    carried c direct "$sum"
    carried d direct 0
done

step "a and c cannot reach each other any more"
cut a c
relayed() { ctl a status peers | grep -E "^c .*relay.via" >"$folder/relay.out"; }
expect "c is reached through a relay" eventually 10 relayed
expect "pods on c, too" eventually 5 pings p1 10.32.0.3
relay=$(grep -o -E "relay.via.[bd]" "$folder/relay.out" | tail -c 2)
before_b=$(copies b direct)
shout 239.1.2.4
carried b direct $((before_b + 20))
carried "$relay" relayed 20
carried c relayed 20
