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
path() { ctl "$1" status peers | awk -v peer="$2" '$1 == peer { print $3 }'; }
established() { ctl "$1" status connections | awk -v peer="$2" '$3 == peer && $4 == "established"' | matches .; }
shows_relayed() { [[ $(path "$1" "$2") == relay* ]] && ! established "$1" "$2"; }
shows_direct() { [[ $(path "$1" "$2") == direct ]] && established "$1" "$2"; }
shows_dead() { [[ $(path "$1" "$2") == unreachable ]] && ! established "$1" "$2"; }
# Without a word: its machine lost its power.
die() {
    ip -n "$underlay" link set "to-$1" down
    kill -KILL "$(router_pid "$1")"
}

step "the link a - b is cut while a's pod pings b's"
expect "a and b are connected" eventually 5 shows_direct a b
in_pod p0 ping -n -i 0.1 -c 100 -W 1 10.32.0.2 >"$folder/pings" &
pinger=$!
sleep 2
cut a b
both_show_relayed() { shows_relayed a b && shows_relayed b a; }
expect "both ends show it within 5 s" eventually 5 both_show_relayed
wait "$pinger" || true
tail -n 3 "$folder/pings"
lost=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$folder/pings" | { read -r sent got; echo $((sent - got)); })
[[ $lost -lt 50 ]] || fail "$lost pings of 100 lost: repair took 5 s or more"
echo "ok: repaired after about $((lost * 100)) ms"
expect "all the way round" pings p0 10.32.0.2 10
heal a b
expect "healed" eventually 5 pings p0 10.32.0.2
expect "and shown so" eventually 15 shows_direct a b

step "the relay in use dies"
for pair in "a c" "a d" "b d"; do
    # shellcheck disable=SC2086
    heal $pair
done
cut a b
for pair in "a c" "a d" "b c" "b d"; do
    # shellcheck disable=SC2086
    expect "$pair are connected" eventually 30 shows_direct $pair
done
expect "a reaches b by relay" eventually 5 shows_relayed a b
relay=$(path a b)
relay=${relay#relay_via_}
die "$relay"
around() { pings p0 10.32.0.2 && [[ $(path a b) == relay_via_[!"$relay"] ]]; }
expect "routed around $relay within 5 s" eventually 5 around
expect "$relay is shown as dead" eventually 5 shows_dead a "$relay"

step "a host dies"
expect "a and e are connected" eventually 5 shows_direct a e
die e
expect "shown within 5 s" eventually 5 shows_dead a e
