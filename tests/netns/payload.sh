#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# 1 GB in each direction at once arrives unchanged (or as much as WEAVE_TEST_BYTES says).
source "$(dirname "$0")/lib.sh"
begin socat openssl

bytes=${WEAVE_TEST_BYTES:-1000000000}
host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
# The same bytes on both sides from a seed: nothing is stored.
stream() { openssl enc -aes-128-ctr -nosalt -K "$1" -iv 0 </dev/zero 2>/dev/null | head -c "$bytes"; }
receive() { in_pod "$1" socat -u TCP-LISTEN:7001,reuseaddr - | sha256sum >"$folder/$1.sum"; }
receive p1 &
first=$!
receive p2 &
second=$!
eventually 3 listening p1 7001
eventually 3 listening p2 7001
stream 01 | in_pod p1 socat -u - TCP:10.32.0.2:7001 &
stream 02 | in_pod p2 socat -u - TCP:10.32.0.1:7001 &
wait "$first" "$second"
[[ $(stream 01 | sha256sum) == "$(cat "$folder/p2.sum")" ]] || fail "p1 to p2 differs"
[[ $(stream 02 | sha256sum) == "$(cat "$folder/p1.sum")" ]] || fail "p2 to p1 differs"
echo "ok: $bytes bytes in each direction at once, equal"
