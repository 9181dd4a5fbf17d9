#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A host with another secret is refused, with the reason at both ends, and disturbs nobody.
source "$(dirname "$0")/lib.sh"
begin ping

host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
in_pod p1 ping -n -q -i 0.1 -w 60 -c 40 10.32.0.2 >"$folder/meanwhile" &
meanwhile=$!

step "x knows the cluster id but not the secret"
mkdir -p "$folder/x/state"
sed -E 's/("key" ?: ?")[0-9a-f]{8}/\100000000/' "$folder/token" >"$folder/x/state/cluster.json"
chmod 0600 "$folder/x/state/cluster.json"
cmp -s "$folder/token" "$folder/x/state/cluster.json" && fail "the secret was not changed"
start x "$(address a)"

says_secret() { ctl "$1" status targets | grep -i secret || ctl "$1" status connections | grep -i secret; }
expect "x says that the secret differs" eventually 10 says_secret x
cat "$folder/last.out"
refuse "x has not become a peer of a" sh -c "$(printf '%q ' ip netns exec "$prefix-a" "$weavectl" --run-dir "$folder/a/run" status peers) | grep -qw x"
says_secret_a() { { ctl a status connections; ctl a status drops; ctl a report; tail -n 50 "$folder/a/run/weaved.log"; } | grep -i secret; }
expect "a says so too" eventually 10 says_secret_a
head -n 3 "$folder/last.out"
wait "$meanwhile" || fail "pings between the others were lost: $(cat "$folder/meanwhile")"
grep -q ' 0% packet loss' "$folder/meanwhile" || fail "pings between the others were lost: $(cat "$folder/meanwhile")"
echo "ok: pings between the others lost nothing"
