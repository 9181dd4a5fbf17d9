#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A node that speaks other protocol versions only: both ends say so, whoever began, and others are not disturbed.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin python3

peer=$repository/tests/netns/tools/other_version.py
host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
meanwhile_begin p1 10.32.0.2 a b

step "it connects to a"
expect "x is refused" in_host x python3 "$peer" dial "$folder/token" "$(address a)"
says "refused: version"
shows() { ctl "$1" status ${2:+"$2"} | grep -i -e "$3"; }
expect "a says why" eventually 3 shows a "" "warning:.*$(address x).*no protocol version that this node knows"
cat "$folder/try.out"
expect "a counts it" counted a control_handshake_failed 1

step "a connects to it"
server x python3 "$peer" listen "$folder/token"
eventually 3 listening x 6783
expect "connect" ctl a connect "$(address x)"
for what in targets connections; do
    expect "a's $what say why" eventually 5 shows a "$what" "$(address x).*failed.*refused: it speaks no protocol version"
    cat "$folder/try.out"
done
expect "forget" ctl a forget "$(address x)"
meanwhile_end 32
