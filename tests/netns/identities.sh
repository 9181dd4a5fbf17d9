#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# An own address as a peer, a name that is taken: each is said, and the traffic of others goes on.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

three_hosts_and_a_stranger
meanwhile_begin p1 10.32.0.3 a c
shows() { ctl "$1" status ${2:+"$2"} | grep -i -e "$3"; }
logged() { grep -i -e "$2" "$folder/$1/run/weaved.log"; }

step "a connects to itself"
expect "connect" ctl a connect "$(address a)"
expect "its targets say so" eventually 5 shows a targets "$(address a).*self.*this address is the node itself"
cat "$folder/try.out"
expect "forget" ctl a forget "$(address a)"

step "x takes the name of b"
secret x
id=$(ctl b status | sed -n 's/^node id: *//p')
# shellcheck disable=SC2046
expect "x starts" in_host x "$launch" start $(folders x) --name b "$(address a)"
for name in a c; do
    expect "$name shows both, one as b~..." eventually 8 shows "$name" peers "^b~[0-9a-f]"
    expect "and the one that had it first as b" shows "$name" peers "^b .*$id"
done
for name in a b c x; do
    expect "$name says that two have that name" eventually 5 logged "$name" 'name_collision name="b"'
done
for name in a b c x; do
    expect "$name warns of it" eventually 5 shows "$name" "" "two nodes are named 'b'"
done
pod x p4 10.32.0.4/12
expect "both nodes of that name are reached" eventually 5 pings p1 10.32.0.4
expect "both nodes of that name are reached" eventually 5 pings p1 10.32.0.2
stop x >/dev/null
step "x takes the name of c, and is told to refuse that"
# shellcheck disable=SC2046
in_host x "$launch" start $(folders x) --name c --strict-names "$(address a)" >/dev/null 2>&1 || true
expect "x says why it ends" eventually 5 logged x "the name 'c' is that of node .*another --name"
refuse "x runs no more" ctl x status
meanwhile_end 32
