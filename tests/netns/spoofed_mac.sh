#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A pod under another one's MAC address: nothing of it passes its port, also after a restart.
source "$(dirname "$0")/lib.sh"
begin python3

host a 1
host b 2
start a
start b "$(address a)"

step "a pod under the MAC address of another one"
pod a p1 10.32.1.21/12
pod a p2 10.32.1.22/12
pod b p3 10.32.1.23/12
mac_of() { ip -n "$prefix-$1" -j link show eth0 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])'; }
own=$(mac_of p2)
forged() { ctl a status drops | awk '$2 == "spoofed_mac" { n = $1 } END { print n + 0 }'; }
under() {
    ip -n "$prefix-p2" link set eth0 address "$1"
    ip -n "$prefix-p2" neigh flush dev eth0
    sleep 0.5
}
expect "p2 reaches p3" eventually 5 pings p2 10.32.1.23
for victim in p1 p3; do
    before=$(forged)
    under "$(mac_of $victim)"
    refuse "p2 under that of $victim" pings p2 10.32.1.23
    [[ $(forged) -gt $before ]] || fail "nothing was counted as spoofed_mac"
done
expect "p1 is reached meanwhile" eventually 5 pings p3 10.32.1.21
under 02:00:00:12:34:56
expect "under one that nobody has" eventually 5 pings p2 10.32.1.23
under "$own"
expect "and under its own" eventually 5 pings p2 10.32.1.23
# A restart reads what each pod has now.
under "$(mac_of p1)"
expect "restart" in_host a "$launch" restart --run-dir "$folder/a/run" --state-dir "$folder/a/state"
refuse "after it, under that of p1" pings p2 10.32.1.23
under "$own"
expect "under its own" eventually 10 pings p2 10.32.1.23
