#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# containerd on two hosts, by "ctr run --cni": containers serve and fetch pages over the mesh; the end of one is told without
# a network namespace, or not at all.
source "$(dirname "$0")/lib.sh"
begin_runtimes containerd ctr jq

step "two hosts with containerd"
machine a 1
machine b 2
start a
start b "$(address a)"
containerd_on a
containerd_on b

has_address() { [[ -n $(ctr_address 4 "$1" "$2") ]]; }
ends() { in_host "$1" ctr task kill --signal KILL "$2"; }

step "two at once on each host"
declare -A runs=()
for one in "a one" "a two" "b one" "b two"; do
    # shellcheck disable=SC2086
    ctr_run $one "page of $one" &
    runs[$one]=$!
done
for one in "${!runs[@]}"; do
    # shellcheck disable=SC2086
    expect "$one has an address" eventually 15 has_address $one
done
for family in 4 6; do
    for one in one two; do
        expect "IPv$family, a from b/$one" eventually 5 ctr_fetches a one "$(ctr_address $family b $one)" "page of b $one"
        expect "IPv$family, b from a/$one" eventually 5 ctr_fetches b two "$(ctr_address $family a $one)" "page of a $one"
    done
done

step "the end of a container: DEL without a namespace"
of_one=$(ctr_address 4 a one)
expect "it ends" ends a one
wait "${runs["a one"]}" || true # the status is that of the container
expect "its address is nobody's" eventually 5 is_free a "$of_one"
refuse "ctr has nothing to complain of" grep -i "cni\|network" "$folder/a-one.out"
[[ $(attached a) -eq 1 ]] || fail "weaved has $(attached a) pods on a"
expect "the other one is reached" ctr_fetches b one "$(ctr_address 4 a two)" "page of a two"

step "one that is detached: containerd never says that it ended"
expect "it runs" in_host a ctr run --detach --cni --snapshotter native "$containerd_image" silent sleep 1000
silent=$(ctr_address 4 a silent)
[[ $(holder_of a "$silent") == cni/weave/default-silent/eth0 ]] || fail "its address is that of '$(holder_of a "$silent")'"
expect "it ends" ends a silent
expect "its address is nobody's" eventually 10 is_free a "$silent"
[[ $(attached a) -eq 1 ]] || fail "weaved has $(attached a) pods on a"
expect "it is taken down" eventually 5 in_host a ctr task rm silent
expect "all of it" in_host a ctr container rm silent
expect "the same name again" in_host a ctr run --detach --cni --snapshotter native "$containerd_image" silent sleep 1000
expect "it reaches the others" eventually 5 ctr_fetches a silent "$(ctr_address 6 b two)" "page of b two"

step "weaved is not running when a container ends"
of_two=$(ctr_address 4 b two)
stop b >/dev/null
expect "it ends" ends b two
wait "${runs["b two"]}" || true
refuse "ctr has nothing to complain of" grep -i "cni\|network" "$folder/b-two.out"
start b "$(address a)"
expect "its address is nobody's" eventually 10 is_free b "$of_two"
expect "the other one is reached" eventually 10 ctr_fetches a two "$(ctr_address 4 b one)" "page of b one"
