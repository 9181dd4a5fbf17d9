#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Hosts with different numbers of lanes: every pair carries many flows at once, both ways, and no lane gets what
# belongs to another.
source "$(dirname "$0")/lib.sh"
begin iperf3

# nothing_astray HOST...: no lane of these hosts dropped what belongs to another
nothing_astray() {
    local name reason count
    for name in "$@"; do
        ctl "$name" status drops >"$folder/drops"
        for reason in wrong_lane bad_tag replayed malformed_record; do
            count=$(awk -v name="$reason" '$2 == name { print $1 }' "$folder/drops")
            [[ $count == 0 ]] || fail "host $name dropped $count under $reason"
        done
    done
    echo "ok: nothing came to the wrong lane on $*"
}

names=(a b c d)
lanes=(1 4 3 2)
for index in "${!names[@]}"; do
    host "${names[$index]}" "$((index + 1))"
done
for index in "${!names[@]}"; do
    if [[ $index -eq 0 ]]; then
        start a --lanes "${lanes[0]}"
    else
        start "${names[$index]}" --lanes "${lanes[$index]}" "$(address a)"
    fi
    pod "${names[$index]}" "p$index" "10.32.0.$((index + 1))/12" "fd32::$((index + 1))/64"
done
for pair in "0 1" "1 0" "2 3" "1 2"; do
    read -r from to <<<"$pair"
    step "${lanes[$from]} lanes to ${lanes[$to]}"
    expect "pings, none lost" pings "p$from" "10.32.0.$((to + 1))" 20
    expect "eight flows, both ways" transfer "p$from" "p$to" "10.32.0.$((to + 1))" -t 1 -P 4 --bidir
    expect "IPv6 too" transfer "p$from" "p$to" "fd32::$((to + 1))" -t 1 -P 4
    expect "small datagrams" transfer "p$from" "p$to" "10.32.0.$((to + 1))" -t 1 -u -b 20M -l 200 -P 4
done
nothing_astray "${names[@]}"

# What a relay sends on has the relay's lane outside and the sender's inside: the receiver's lanes pass it on.
host x 11
host y 12
host r 13
cut x y
start r --lanes 1
start x --lanes 4 "$(address r)"
start y --lanes 4 "$(address r)"
pod x px 10.32.0.11/12 fd32::11/64
pod y py 10.32.0.12/12 fd32::12/64
for lanes in 1 3; do
    step "4 lanes to 4 lanes, by a relay with $lanes"
    if [[ $lanes != 1 ]]; then
        stop r
        start r --lanes "$lanes"
    fi
    expect "the pods reach each other" eventually 30 pings px 10.32.0.12
    expect "pings, none lost" pings px 10.32.0.12 20
    expect "eight flows, both ways" transfer px py 10.32.0.12 -t 2 -P 4 --bidir
    expect "IPv6 too" transfer py px fd32::11 -t 1 -P 4
    nothing_astray x y r
done
