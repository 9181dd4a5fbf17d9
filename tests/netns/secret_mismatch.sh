#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A host with another secret is refused, with the reason at both ends, and disturbs nobody.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
meanwhile_begin p1 10.32.0.2 a b
mkdir -p "$folder/x/state"
shows() { ctl "$1" status ${2:+"$2"} | grep -i -e "$3"; }

# join_with SED-EXPRESSION: x starts with the cluster file so changed
join_with() {
    sed -E "$1" "$folder/token" >"$folder/x/state/cluster.json"
    chmod 0600 "$folder/x/state/cluster.json"
    cmp -s "$folder/token" "$folder/x/state/cluster.json" && fail "the cluster file was not changed"
    refused_before=$(count a control_handshake_failed)
    start x "$(address a)"
}

# both_say WORDS: at x and at a, in whatever asks for it
both_say() {
    local what
    for what in targets connections; do
        expect "x says so under $what" eventually 5 shows x "$what" "$(address a).*failed.*$1"
        cat "$folder/try.out"
    done
    expect "a says so in its status" eventually 5 shows a "" "warning:.*$(address x).*$1"
    tail -n 1 "$folder/try.out"
    expect "and in its log" grep -i "event=link_refused address=$(address x).*$1" "$folder/a/run/weaved.log"
    expect "and counts it" counted a control_handshake_failed $((refused_before + 1))
    refuse "x has not become a peer of a" shows a peers '^x '
    refuse "nor a one of x" shows x peers '^a '
    stop x >/dev/null
}

step "x has another secret under the same id"
join_with 's/("key" ?: ?")[0-9a-f]{8}/\100000000/'
both_say "secrets\? differ\|does not have this node's cluster secret"

step "x has a secret with an id nobody else knows"
join_with 's/("id" ?: ?)[0-9]+([^0-9a-f])/\1777\2/'
both_say "secret"

step "x belongs to another cluster"
join_with 's/("id" ?: ?")[0-9a-f]{8}/\100000000/'
both_say "another cluster"
meanwhile_end 32
