#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Five hosts in a ring (no other pair can reach each other); one link is cut under traffic and routed around.
source "$(dirname "$0")/lib.sh"
begin ping

names=(a b c d e)
for index in "${!names[@]}"; do
    host "${names[$index]}" "$((index + 1))"
done
for pair in "a c" "a d" "b d" "b e" "c e"; do
    # shellcheck disable=SC2086
    cut $pair
done
start a
for index in 1 2 3 4; do
    start "${names[$index]}" "$(address "${names[$((index - 1))]}")"
done
# closes the ring
expect "e connects to a" ctl e connect "$(address a)"
for index in "${!names[@]}"; do
    pod "${names[$index]}" "p$index" "10.32.0.$((index + 1))/12"
done
for to in 1 2 3 4; do
    expect "p0 reaches p$to" eventually 10 pings p0 "10.32.0.$((to + 1))"
done
step "the link a - b is cut while a's pod pings b's"
in_pod p0 ping -n -i 0.1 -c 100 -W 1 10.32.0.2 >"$folder/pings" &
pinger=$!
sleep 2
cut a b
wait "$pinger" || true
tail -n 3 "$folder/pings"
lost=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$folder/pings" | { read -r sent got; echo $((sent - got)); })
[[ $lost -lt 50 ]] || fail "$lost pings of 100 lost: repair took 5 s or more"
echo "ok: repaired after about $((lost * 100)) ms"
expect "all the way round" pings p0 10.32.0.2 10
heal a b
expect "healed" eventually 5 pings p0 10.32.0.2
