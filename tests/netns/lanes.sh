#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Hosts with different numbers of lanes: every pair carries many flows at once, both ways, and no lane gets what
# belongs to another.
source "$(dirname "$0")/lib.sh"
begin iperf3

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
for name in "${names[@]}"; do
    ctl "$name" status drops >"$folder/drops"
    for reason in wrong_lane bad_tag replayed malformed_record; do
        count=$(awk -v name="$reason" '$2 == name { print $1 }' "$folder/drops")
        [[ $count == 0 ]] || fail "host $name dropped $count under $reason"
    done
done
echo "ok: nothing came to the wrong lane"
