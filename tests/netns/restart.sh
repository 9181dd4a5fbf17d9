#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A router that restarts, or crashes, during a TCP transfer: the transfer goes on.
source "$(dirname "$0")/lib.sh"
begin socat

host a 1
host b 2
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2

head -c 200000000 /dev/urandom >"$folder/sent"
server p2 socat -u TCP-LISTEN:7001,reuseaddr OPEN:"$folder/received",creat
eventually 3 listening p2 7001
step "a transfer, slow enough to be met by a restart"
in_pod p1 sh -c "while :; do dd bs=1000000 count=20 status=none; sleep 0.4; done <'$folder/sent' | head -c 200000000 | socat -u - TCP:10.32.0.2:7001" &
sender=$!
background+=("$sender")
sleep 1
# shellcheck disable=SC2046
expect "host b restarts" in_host b "$launch" restart $(folders b)
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
step "host a crashes and starts over what it left"
kill -KILL "$(router_pid a)"
start a
expect "pings pass again within 5 s" eventually 5 pings p1 10.32.0.2
expect "the same TCP session brought everything" eventually 40 cmp "$folder/sent" "$folder/received"
