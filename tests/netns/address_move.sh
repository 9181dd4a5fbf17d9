#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# An address moves from a pod on host a to one on host b, which has another MAC, while a pod on host c pings it: first to a
# pod that starts with it, then to one that runs already, whose kernel announces nothing.
source "$(dirname "$0")/lib.sh"
begin python3

host a 1
host b 2
host c 3
for one in a b c; do
    # What came back may be had by another host after a second.
    # shellcheck disable=SC2046
    start $one --ipalloc-rest 1 $([[ $one == a ]] || address a)
done
pod c p3 10.32.0.3/12 fd32::3/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "p3 reaches p2" eventually 5 pings p3 10.32.0.2

moving=10.32.0.9/12
moving6=fd32::9/64
declare -A pinging=()
limit=3 # seconds; with a machine of its own for each host it takes a fraction of one
neighbour() { in_pod p3 ip neighbour show "$1" | grep -o 'lladdr [0-9a-f:]*'; }
mac_of() { in_pod "$1" cat /sys/class/net/eth0/address; }
arrived_at() { [[ $(neighbour 10.32.0.9) == "lladdr $(mac_of "$1")" && $(neighbour fd32::9) == "lladdr $(mac_of "$1")" ]]; }
attach() { ctl "$1" attach "/run/netns/$prefix-$2" "$moving" "$moving6"; }

# moves FROM-HOST FROM-POD TO-HOST TO-POD: p3 pings all the while
moves() {
    local family given
    for family in 4 6; do
        ip netns exec "$prefix-p3" ping -"$family" -n -D -i 0.02 "$([[ $family == 4 ]] && echo 10.32.0.9 || echo fd32::9)" \
            >"$folder/ping$family" 2>&1 &
        background+=($!)
        pinging[$family]=$!
        expect "pings pass before, IPv$family" eventually 3 grep -q icmp_seq=10 "$folder/ping$family"
    done
    ctl "$1" detach "/run/netns/$prefix-$2" >/dev/null || fail "detach of $2"
    expect "the address may be used on $3" eventually 5 attach "$3" "$4"
    given=$EPOCHREALTIME
    expect "p3 knows the new MAC" eventually 5 arrived_at "$4"
    sleep 1
    for family in 4 6; do
        kill -INT "${pinging[$family]}"
        wait "${pinging[$family]}" || true
        python3 - "$folder/ping$family" "$given" "$limit" "$family" <<'END' || fail "the address was not followed, IPv$family"
import re, sys
times = [float(found[1]) for found in map(re.compile(r"\[([0-9.]+)\] \d+ bytes from").match, open(sys.argv[1])) if found]
given, limit = float(sys.argv[2]), float(sys.argv[3])
gap = max(after - before for before, after in zip(times, times[1:]))
later = [time for time in times if time > given]
print(f"IPv{sys.argv[4]}: no answer for {gap:.3f} s in all, attach included; "
      f"answers {(later[0] - given) * 1000 if later else float('nan'):.0f} ms after attach said that it is done")
sys.exit(not later or later[0] - given > limit or gap > 2 * limit)
END
    done
}


step "to a pod that starts"
pod a m1 "$moving" "$moving6"
for address in 10.32.0.9 fd32::9; do
    expect "p3 reaches $address on a" eventually 5 pings p3 "$address"
done
ip netns add "$prefix-m2"
ip -n "$prefix-m2" link set lo up
moves a m1 b m2

step "and back, to a pod that runs already"
pod a p1 10.32.0.1/12 fd32::1/64
moves b m2 a p1
