#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Eight hosts that know one seed become a full mesh; every pod reaches every other.
source "$(dirname "$0")/lib.sh"
begin ping

names=(a b c d e f g h)
for index in "${!names[@]}"; do
    host "${names[$index]}" "$((index + 1))"
done
start a
for name in "${names[@]:1}"; do
    start "$name" "$(address a)"
done
for index in "${!names[@]}"; do
    pod "${names[$index]}" "p$index" "10.32.0.$((index + 1))/12"
done
for from in "${!names[@]}"; do
    for to in "${!names[@]}"; do
        [[ $from -eq $to ]] || eventually 10 pings "p$from" "10.32.0.$((to + 1))" || fail "p$from does not reach p$to"
    done
done
echo "ok: 56 pairs of pods reach each other"
knows_all() {
    local name
    ctl "$1" status peers >"$folder/peers"
    for name in "${names[@]}"; do
        [[ $name == "$1" ]] || matches "^$name .* direct " "$folder/peers" || return 1
    done
}
for name in "${names[@]}"; do
    eventually 10 knows_all "$name" || fail "host $name does not reach all others directly"
done
echo "ok: every host reaches all others directly"
