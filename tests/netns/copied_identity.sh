#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The state folder of b is copied to x and both run: b, x and whoever sees both say so, the traffic of others goes on, and
# when the copy is gone b is what it was.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

three_hosts_and_a_stranger
shows() { ctl "$1" status ${2:+"$2"} | grep -i -e "$3"; }
meanwhile_begin p1 10.32.0.3 a c
id=$(ctl b status | sed -n 's/^node id: *//p')
cp -a "$folder/b/state" "$folder/x/state"
start x "$(address a)"
[[ $(ctl x status | sed -n 's/^node id: *//p') == "$id" ]] || fail "x does not have the identity of b"
for name in b x a; do
    expect "$name warns that an identity is used twice" eventually 15 shows "$name" "" "warning:.*identity"
    cat "$folder/try.out"
done
expect "a counts it" counted a mesh_identity_twice
stop x >/dev/null
expect "b is what it was" shows b "" "$id"
expect "without the copy b is reached again" eventually 15 pings p2 10.32.0.1
meanwhile_end 32
