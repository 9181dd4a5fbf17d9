#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Host b is behind a NAT: a cannot dial it, b dials a; pods talk both ways.
WEAVE_TEST_UNDERLAY=v4
source "$(dirname "$0")/lib.sh"
begin ping

host a 1
host n 2
host b 3
step "b moves behind n, which masquerades"
ip -n "$prefix-b" link delete eth0
ip link add eth0 netns "$prefix-b" type veth peer name inside netns "$prefix-n"
ip -n "$prefix-n" address add 172.20.0.1/24 dev inside
ip -n "$prefix-n" link set inside up
ip -n "$prefix-b" address add 172.20.0.2/24 dev eth0
ip -n "$prefix-b" link set eth0 up
ip -n "$prefix-b" route add default via 172.20.0.1
in_host n sysctl -qw net.ipv4.ip_forward=1
in_host n nft -f - <<'END'
table ip nat {
    chain post {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade
    }
}
END
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "from inside" eventually 10 pings p2 10.32.0.1
expect "from outside" eventually 10 pings p1 10.32.0.2
for pair in "p1 10.32.0.2" "p2 10.32.0.1"; do
    # shellcheck disable=SC2086
    expect "none is lost: $pair" pings $pair 50
done
expect "a sends to the address that n gave b" \
    grep "use=direct endpoint=$(address n):" "$folder/a/run/weaved.log"
expect "and to no relay" ctl a status peers
grep -q '^b .* direct ' "$folder/last.out" || fail "a does not reach b directly"
