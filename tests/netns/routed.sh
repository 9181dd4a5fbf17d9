#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Pods in mode routed: they, pods on the bridge and the hosts reach each other, on one host and on two, over IPv4 and IPv6,
# and the hosts' kernels keep no neighbour entry for a pod elsewhere.
WEAVE_TEST_UNDERLAY=v4 # so that the path does not change to another with another overhead
source "$(dirname "$0")/lib.sh"
begin socat

host a 1
host b 2
host c 3 # routes nothing
start a --ipalloc-rest 1
start b "$(address a)"
start c "$(address a)"
# The cluster's IPv6 range is made of its id.
ula=$(ctl a ipam status | grep -o 'fd[0-9a-f:]*::/' | head -n 1)
ula=${ula%:/}
# An address of each pod, and of each host: NAME[4] and NAME[6].
declare -A four=([r1]=10.32.1.1 [r2]=10.32.1.2 [l1]=10.32.1.3 [r3]=10.32.2.1 [l3]=10.32.2.3 [l5]=10.32.3.3 [a]=10.32.9.1 [b]=10.32.9.2)
declare -A six=([r1]=$ula:11 [r2]=$ula:12 [l1]=$ula:13 [r3]=$ula:21 [l3]=$ula:23 [l5]=$ula:33 [a]=$ula:91 [b]=$ula:92)

for one in a b; do
    expect "an address of host $one for itself" ctl $one expose "${four[$one]}/32" "${six[$one]}/128"
done
routed_pod() { pod "$1" "$2" "${four[$2]}/12" "${six[$2]}/64" --mode routed; }
bridged_pod() {
    pod "$1" "$2" "${four[$2]}/12" "${six[$2]}/64"
}
routed_pod a r1
routed_pod a r2
bridged_pod a l1
routed_pod b r3
bridged_pod b l3
bridged_pod c l5

reaches() {
    expect "$1 reaches $2 over IPv4" eventually 5 pings "$1" "${four[$2]}" 3
    expect "$1 reaches $2 over IPv6" eventually 5 pings "$1" "${six[$2]}" 3
}

step "pods in mode routed"
reaches r1 r2
reaches r1 r3
reaches r3 r2

step "hosts and pods"
for one in r1 r3 l1 l3; do
    reaches a "$one"
    reaches "$one" a
done
reaches b r1
reaches b l1
reaches a b

step "a routed pod with another MAC address"
ip -n "$prefix-r1" link set eth0 address 02:00:00:77:77:77
reaches a r1
reaches r3 r1

step "pods on the bridge and pods in mode routed"
reaches l1 r1
reaches r2 l1
reaches l1 r3
reaches r3 l1
reaches l3 r1
reaches r1 l3

step "pods on a host that routes nothing"
[[ -z $(in_host c ip route show proto 119) ]] || fail "host c has routes of ours"
for one in r1 r3 a b l3; do
    reaches l5 "$one"
    reaches "$one" l5
done

step "what each side sees of the other is its own address"
transfer_text() {
    local from=$1 to=$2 family=$3 address=$4
    server "$to" socat -"$family" -d -d TCP-LISTEN:7001,reuseaddr "SYSTEM:echo from \$SOCAT_PEERADDR; wc -c"
    eventually 3 listening "$to" 7001
    head -c 300000 /dev/zero | in_pod "$from" socat -"$family" -t 5 - "TCP:$address:7001" >"$folder/answer"
}
echoes() {
    local from=$1 to=$2
    transfer_text "$from" "$to" 4 "${four[$to]}"
    expect "$to sees $from's own address" grep -x "from ${four[$from]}" "$folder/answer"
    expect "300,000 bytes by TCP over IPv4 from $from to $to" grep -x 300000 "$folder/answer"
    transfer_text "$from" "$to" 6 "[${six[$to]}]"
    expect "300,000 bytes by TCP over IPv6 from $from to $to" grep -x 300000 "$folder/answer"
}
for pair in "r1 r2" "r1 r3" "a r3" "r3 a" "l1 r3" "r3 l1" "l1 r1" "r1 l3" "l5 r1" "r3 l5" "a l5"; do
    # shellcheck disable=SC2086
    echoes $pair
done

step "sizes"
expect "the largest packet passes" pings r1 "${four[r3]}" 3 -s 1348 -M "do"
expect "the largest IPv6 packet passes" pings r1 "${six[r3]}" 3 -s 1328 -M "do"
# A pod that believes in more is told by the host.
port=$(ctl a status attachments | awk '/10\.32\.1\.1/ { print $3 }')
in_host a ip link set "$port" mtu 1500
in_pod r1 ip link set eth0 mtu 1500
refuse "a packet above the network's size" pings r1 "${four[r3]}" 1 -s 1400 -M "do"
expect "the pod learnt the size" eventually 2 sh -c "ip netns exec $prefix-r1 ip route get ${four[r3]} | grep -q 'mtu 1376'"
refuse "an IPv6 packet above the network's size" pings r1 "${six[r3]}" 1 -s 1400 -M "do"
expect "the pod learnt it for IPv6" eventually 2 sh -c "ip netns exec $prefix-r1 ip route get ${six[r3]} | grep -q 'mtu 1376'"
expect "fragments pass" pings r1 "${four[r3]}" 3 -s 4000 -M dont
echoes r1 r3

step "a path that carries less than the network's size"
in_host a ip link set eth0 mtu 1300
in_host b ip link set eth0 mtu 1300
ip -n "$underlay" link set to-a mtu 1300
ip -n "$underlay" link set to-b mtu 1300
told_less() {
    pings r2 "${four[r3]}" 1 -s 1300 -M "do" || true
    in_pod r2 ip route get "${four[r3]}" | matches 'mtu 1[12]'
}
expect "the pod is told what fits" eventually 20 told_less
echoes r2 r3

# A pod on the bridge that asks by ARP for an address of the host is remembered for the answer: these are not looked at.
step "no neighbour of the hosts is a routed pod elsewhere, or another host"
for one in a b; do
    in_host $one ip neigh show dev weave >"$folder/neighbours"
    in_host $one ip -6 neigh show dev weave >>"$folder/neighbours"
    other=("${four[r3]}" "${six[r3]}" "${four[b]}" "${six[b]}")
    [[ $one == a ]] || other=("${four[r1]}" "${six[r1]}" "${four[a]}" "${six[a]}")
    for each in "${other[@]}"; do
        if grep -q "^$each " "$folder/neighbours"; then
            cat "$folder/neighbours"
            fail "host $one keeps a neighbour entry of $each"
        fi
    done
    grep -q '^169.254.1.2 lladdr 02:77:76:00:00:01 PERMANENT' "$folder/neighbours" || fail "host $one does not know the router"
done
echo "ok: neither has one"
refuse "the router's MAC is flooded to pods" sh -c "ip netns exec $prefix-a bridge fdb show br weave | grep 02:77:76:00:00:01 | grep -v 'dev weave-tap'"

step "the daemon starts again, pods go on"
expect "restart" in_host a "$launch" restart --run-dir "$folder/a/run" --state-dir "$folder/a/state"
reaches r1 r3
reaches r3 l1
reaches b r1
[[ $(ctl a status attachments | awk 'NR > 1' | wc -l) -eq 3 ]] || fail "attachments of host a were lost"

step "a namespace goes, and a pod is detached: their addresses lead nowhere"
ip netns delete "$prefix-r2"
expect "detach" ctl a detach "/run/netns/$prefix-r1"
no_way() {
    ! in_host a ip route show table main | matches -e "^$1 " &&
        ! in_host a ip -6 route show table main | matches -e "^$2 " &&
        ! in_host a ip neigh show proxy | matches -e "^$1 " && ! in_host a ip -6 neigh show proxy | matches -e "^$2 "
}
expect "nothing is left of r1" no_way "${four[r1]}" "${six[r1]}"
expect "nothing is left of r2" eventually 5 no_way "${four[r2]}" "${six[r2]}"
sleep 1.5 # what came back rests for a second
routed_pod b r2
reaches r2 l1
reaches a r2

step "reset leaves nothing behind"
expect "reset" in_host b "$launch" reset --run-dir "$folder/b/run" --state-dir "$folder/b/state"
in_host b ip -o link show >"$folder/links"
if grep -E ': (wv|weave)' "$folder/links" || in_host b ip route show | grep 10.32 || in_host b ip -6 route show | grep "$ula" ||
    in_host b ip neigh show proxy | grep .; then
    fail "something of ours is left on host b"
fi
echo "ok: neither links nor routes nor neighbours"
