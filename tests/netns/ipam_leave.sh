#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Space of hosts that left: it comes back where most stay, after the lease of those who left is over; a host that sees too few
# of the others stops; the operator can decide for a host that is alone.
source "$(dirname "$0")/lib.sh"
begin jq

range=10.78.0.0/26 lease=20 # seconds; space comes back 55 s after a host was last seen
ipam() { ctl "$1" -o json ipam "${@:2}"; }
members() { ipam "$1" status | jq -r ".members.$2"; }
owned_by() { ipam "$1" status | jq -r "[.nodes[] | select(.node == \"$2\") | .owned] | add // 0"; }
agreed() { local at; for at in a b c; do [[ $(members "$at" members) -eq 3 && $(members "$at" lease_seconds) -gt 0 ]] || return 1; done; }

step "three hosts agree on who belongs to the mesh"
for one in "a 1" "b 2" "c 3"; do
    # shellcheck disable=SC2086
    host $one
done
start a --ipalloc-range "$range" --ipalloc-rest 1 --ipalloc-lease "$lease"
start b --ipalloc-range "$range" --ipalloc-rest 1 --ipalloc-lease "$lease" "$(address a)"
start c --ipalloc-range "$range" --ipalloc-rest 1 --ipalloc-lease "$lease" "$(address a)"
pod a p1
pod b p2
pod c p3
expect "all three are members" eventually 40 agreed
[[ $(owned_by a c) -gt 0 ]] || fail "host c owns nothing"

step "a host that is cut off goes on, and stops when its lease is over"
cut c a
cut c b
ip netns add "$prefix-x"
expect "attach at once" ctl c attach "/run/netns/$prefix-x"
stopped() { [[ $(ipam c status | jq -r .ready) == false ]]; }
expect "the lease ends" eventually 30 stopped
ip netns add "$prefix-y"
refuse "attach after that" ctl c attach "/run/netns/$prefix-y"
grep -q "sees 1 of 3 members" "$folder/last.out" || fail "it does not say why"
expect "status tells" ctl c ipam status
grep -q "allocates nothing" "$folder/last.out" || fail "the status does not tell"
expect "the others go on" ctl a attach "/run/netns/$prefix-y"

step "its space comes back to the others, and its pods are left alone when it returns"
back() { [[ $(owned_by a c) -eq 0 && $(owned_by b c) -eq 0 ]]; }
expect "host c owns nothing any more" eventually 120 back
heal c a
heal c b
expect "all three are members again" eventually 60 agreed
ip netns add "$prefix-z"
attached() { ctl c attach "/run/netns/$prefix-z" >/dev/null 2>&1; }
expect "host c hands out again" eventually 30 attached
[[ $(ipam a conflicts | jq length) -eq 0 && $(ipam c conflicts | jq length) -eq 0 ]] || fail "an address is in use twice"

step "of two that are left alone none takes anything, until the operator says so"
refuse "a host that is alive" ctl a rmpeer b
grep -q "is alive" "$folder/last.out" || fail "it does not say why"
stop b >/dev/null
stop c >/dev/null
few() { [[ $(members a seen) -eq 1 && $(ipam a status | jq -r .ready) == false ]]; }
expect "host a sees nobody and stops" eventually 60 few
expect "rmpeer b" ctl a rmpeer b
grep -q "stop it" "$folder/last.out" || fail "rmpeer does not warn"
expect "rmpeer c" ctl a rmpeer c
ip netns add "$prefix-w"
given() { ctl a attach "/run/netns/$prefix-w" >/dev/null 2>&1; }
expect "host a hands out again" eventually 20 given
[[ $(owned_by a b) -eq 0 && $(owned_by a c) -eq 0 ]] || fail "something is left of b or c"
