#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Addresses from the allocator: one of each family for every pod, on three hosts, over restarts, a partition, a range that
# is used up, lost state, and meshes that began apart.
source "$(dirname "$0")/lib.sh"
begin jq

range=10.77.0.0/26 # 62 addresses
declare -A addresses=()

# the address of the family in pod $2's interface, without its length
of_pod() { ip -n "$prefix-$2" -j "-$1" address show dev eth0 | jq -r '[.[0].addr_info[] | select(.scope == "global")][0].local'; }
v4() { of_pod 4 "$1"; }
v6() { of_pod 6 "$1"; }

# a pod on host $1 whose address nobody has
new_pod() {
    local at
    pod "$1" "$2"
    at=$(v4 "$2")
    [[ $at == 10.77.0.* ]] || fail "pod $2 has the address '$at'"
    [[ -z ${addresses[$at]:-} ]] || fail "pod $2 has the address $at of pod ${addresses[$at]}"
    addresses[$at]=$2
}

unpod() {
    ctl "$1" detach "/run/netns/$prefix-$2" >/dev/null || fail "detach of pod $2"
    unset "addresses[$(v4_of "$2")]"
}
v4_of() { local at; for at in "${!addresses[@]}"; do [[ ${addresses[$at]} != "$1" ]] || echo "$at"; done; }
ipam() { ctl "$1" -o json ipam "${@:2}"; }
fact() { ipam "$1" status | jq -r ".$2"; }

says() {
    if [[ $(wc -l <"$folder/last.out") -ne 1 ]] || ! grep -q -F -e "$1" "$folder/last.out"; then
        cat "$folder/last.out"
        fail "it does not say '$1' in one line"
    fi
}

step "three hosts, two pods each, no address by hand"
for one in "a 1" "b 2" "c 3"; do
    # shellcheck disable=SC2086
    host $one
done
start a --ipalloc-range "$range" --ipalloc-rest 2
start b --ipalloc-range "$range" --ipalloc-rest 2 "$(address a)"
start c --ipalloc-range "$range" --ipalloc-rest 2 "$(address a)"
for one in "a p1" "b p2" "c p3" "a p4" "b p5" "c p6"; do
    # shellcheck disable=SC2086
    new_pod $one
done
expect "IPv4 from a to c" eventually 5 pings p1 "$(v4 p3)"
expect "IPv6 from b to a" eventually 5 pings p2 "$(v6 p4)"
[[ $(v6 p1) == fd* && ${addresses[$(v4 p1)]} == p1 ]] || fail "p1 has no address of both families"
grep -q "/26" <(ip -n "$prefix-p1" address show dev eth0) || fail "the prefix length is not that of the range"

step "the same attach again gives the same addresses"
before=$(v4 p1)
expect "attach" ctl a attach "/run/netns/$prefix-p1"
[[ $(v4 p1) == "$before" && $(ip -n "$prefix-p1" -4 address show dev eth0 | grep -c inet) -eq 1 ]] || fail "it is another one"

step "ipam status, lookup, claim and release"
expect "status" ctl a ipam status
grep -q "^b .* yes$" "$folder/last.out" || fail "host b owns nothing"
[[ $(fact a held) -eq 2 ]] || fail "host a holds $(fact a held) addresses"
[[ $(ipam b lookup "$before" | jq -r .node) == a ]] || fail "host b does not know whose $before is"
expect "claim" ctl b ipam claim printer 10.77.0.40
[[ $(ipam b lookup printer | jq -r '.addresses[0]') == 10.77.0.40/26 ]] || fail "the printer has not got it"
ip netns add "$prefix-x"
refuse "attach of a claimed address" ctl b attach "/run/netns/$prefix-x" ip:10.77.0.40
says "10.77.0.40 is held on this node by printer"
refuse "release of a pod's address" ctl a ipam release "$before"
says "detach or hide it"
expect "release" ctl b ipam release printer
refuse "lookup of what was released" ctl b ipam lookup printer
says "holds no address"
refuse "an address outside the range" ctl a ipam claim printer 10.99.0.1
says "not one of the addresses of 10.77.0.0/26"
refuse "the network's own address" ctl a attach "/run/netns/$prefix-x" ip:10.77.0.0
refuse "a subnet outside the range" ctl a attach "/run/netns/$prefix-x" net:10.99.0.0/24
expect "an address of a subnet" ctl a attach "/run/netns/$prefix-x" net:10.77.0.16/28
[[ $(v4 x) =~ ^10\.77\.0\.(1[7-9]|2[0-9]|30)$ ]] || fail "it is $(v4 x)"
expect "detach" ctl a detach "/run/netns/$prefix-x"

step "the host's own address"
expect "expose" ctl b expose
own=$(head -n 1 "$folder/last.out")
expect "it is reached from another host's pod" eventually 5 pings p1 "${own%/*}"
expect "expose once more" ctl b expose
[[ $(head -n 1 "$folder/last.out") == "$own" ]] || fail "it is another one"
expect "hide" ctl b hide
[[ $(fact b held) -eq 2 ]] || fail "host b still holds $(fact b held) addresses"

step "a pod that ends without a word gives its address back"
gone=$(v4 p6)
ip netns del "$prefix-p6"
released() { [[ $(ipam c lookup "$gone" | jq -r .holder) == null ]]; }
expect "it is nobody's" eventually 5 released
unset "addresses[$gone]"

step "a restart keeps what runs"
before=$(v4 p2)
expect "restart" in_host b "$launch" restart --run-dir "$folder/b/run" --state-dir "$folder/b/state"
expect "pings pass" eventually 10 pings p1 "$before"
[[ $(ipam b lookup "$before" | jq -r .holder) == netns:* ]] || fail "its address is nobody's"
new_pod b p7

step "a partition: every host goes on from what it has"
cut c a
cut c b
gone_from() { ! grep -q "^c .*\(direct\|relay\)" <(ctl "$1" status peers); }
expect "c is away" eventually 15 gone_from a
new_pod c p8
new_pod a p9
heal c a
heal c b
expect "together again" eventually 20 pings p8 "$(v4 p9)"
[[ $(ipam a conflicts | jq length) -eq 0 && $(ipam c conflicts | jq length) -eq 0 ]] || fail "an address is in use twice"

step "all of the range is used, and then it is full"
count=0
full() { grep -q '"exhausted"' "$folder/last.err"; }
for ((number = 0; number < 64; ++number)); do
    on=$(printf '%s\n' a b c | sed -n "$((number % 3 + 1))p")
    ip netns add "$prefix-f$number"
    if ! ctl "$on" -o json attach "/run/netns/$prefix-f$number" >/dev/null 2>"$folder/last.err"; then
        full || { cat "$folder/last.err"; fail "attach of pod f$number"; }
        break
    fi
    at=$(v4 "f$number")
    [[ -z ${addresses[$at]:-} ]] || fail "pod f$number has the address $at of pod ${addresses[$at]}"
    addresses[$at]=f$number
    count=$((count + 1))
done
echo "$count more pods, ${#addresses[@]} in all"
# 62 less the two that are the subnet's own, unless somebody has them already.
[[ ${#addresses[@]} -ge 60 ]] || fail "the range has 62 addresses"
refuse "one more" ctl a attach "/run/netns/$prefix-f$count"
says "no address is free in 10.77.0.0/26"
unpod c f2
given_again() { ctl a attach "/run/netns/$prefix-f$count" >>"$folder/again.out" 2>&1; }
eventually 15 given_again || { sort "$folder/again.out" | uniq -c; ctl c ipam status; ctl a ipam status; fail "what was freed on c is not given again on a"; }

step "a state file that was damaged is kept aside: pods keep what they have, and space comes from the others"
stop b >/dev/null
before=$(v4 p2)
printf 'x' | dd of="$folder/b/state/ipam" bs=1 seek=9 conv=notrunc status=none
start b --ipalloc-range "$range" --ipalloc-rest 2 "$(address a)"
[[ -e $folder/b/state/ipam.corrupt ]] || fail "the damaged file is gone"
expect "status" ctl b status
grep -q "ipam was damaged" "$folder/last.out" || fail "the status does not tell"
expect "pings pass" eventually 10 pings p1 "$before"
unpod b p5
ip netns add "$prefix-y"
attached_y() { ctl b attach "/run/netns/$prefix-y" >/dev/null 2>&1; }
# What it owned is nobody's until the members have agreed anew, and then for 30 s more.
expect "a new pod" eventually 90 attached_y
at=$(v4 y)
[[ -z ${addresses[$at]:-} ]] || fail "pod y has the address $at of pod ${addresses[$at]}"

step "meshes that began apart"
host d 4
start d --ipalloc-range "$range"
pod d q1 ip:"$(v4 p1)"
expect "connect" ctl d connect "$(address a)"
conflict_at() { [[ $(ipam "$1" conflicts | jq -r '.[0].address') == "$(v4 p1)" ]]; }
expect "the address in use twice is told on a" eventually 10 conflict_at a
expect "and on d" eventually 10 conflict_at d
[[ $(ipam a conflicts | jq -r '.[0].keeps') == "$(ipam d conflicts | jq -r '.[0].keeps')" ]] || fail "they do not agree on who keeps it"
expect "conflicts for a person" ctl a ipam conflicts
loser=d pod=q1
[[ $(ipam a conflicts | jq -r '.[0].keeps') == a ]] || loser=a pod=p1
ctl "$loser" detach "/run/netns/$prefix-$pod" >/dev/null
no_conflict() { [[ $(ipam a conflicts | jq length) -eq 0 && $(ipam d conflicts | jq length) -eq 0 ]]; }
expect "renumbered: none is left" eventually 10 no_conflict
