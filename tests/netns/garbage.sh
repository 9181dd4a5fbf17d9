#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Garbage on the ports: pings between pods lose nothing meanwhile, no router dies, the drops are named.
source "$(dirname "$0")/lib.sh"
begin python3

host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
before=$(router_pid a)
in_pod p1 ping -n -q -i 0.1 -c 60 -W 1 10.32.0.2 >"$folder/meanwhile" &
meanwhile=$!
in_host x python3 - "$(address a)" <<'END'
import random, socket, sys

chance = random.Random(1)
target = (sys.argv[1], 6783)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for kind in list(range(8)) * 1000:
    udp.sendto(bytes([kind]) + chance.randbytes(chance.randrange(0, 1400)), target)
held = []
for index in range(300):
    tcp = socket.create_connection(target, timeout=2)
    try:
        tcp.send(chance.randbytes(chance.randrange(1, 600)) if index % 3 else b"\xff\xff" + bytes(2000))
    except OSError:
        pass
    held.append(tcp)
END
wait "$meanwhile" || fail "pings were lost: $(cat "$folder/meanwhile")"
grep -q ' 0% packet loss' "$folder/meanwhile" || fail "pings were lost: $(cat "$folder/meanwhile")"
echo "ok: pings between the others lost nothing"
[[ $(router_pid a) == "$before" && -d /proc/$before ]] || fail "the router on a died"
expect "the status answers" ctl a status
expect "the drops are named" ctl a status drops
cat "$folder/last.out"
