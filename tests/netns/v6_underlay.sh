#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The underlay is IPv6 only; pods use both families.
WEAVE_TEST_UNDERLAY=v6
source "$(dirname "$0")/lib.sh"
begin iperf3

host a 1
host b 2
start a
start b fd77::1
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
expect "IPv4 pings" pings p2 10.32.0.1 10
expect "IPv6 pings" pings p1 fd32::2 10
[[ $(in_pod p1 cat /sys/class/net/eth0/mtu) -eq 1356 ]] || fail "the pods' MTU leaves no room for IPv6 underneath"
expect "a packet of the full pod MTU passes whole" \
    eventually 5 in_pod p1 ping -n -q -c 3 -i 0.1 -W 1 -M "do" -s 1328 10.32.0.2
expect "over IPv6, too" in_pod p1 ping -n -q -c 3 -i 0.1 -W 1 -M "do" -s 1308 fd32::2
expect "a transfer" transfer p1 p2 10.32.0.2 -t 1
tail -n 4 "$folder/last.out"

step "an underlay of 1280 bytes, of which sealing takes its part"
for name in a b; do
    ip -n "$underlay" link set "to-$name" mtu 1280
    ip -n "$prefix-$name" link set eth0 mtu 1280
done
expect "what every IPv6 sender may send passes" \
    eventually 10 in_pod p1 ping -6 -n -q -c 3 -i 0.1 -W 1 -s 1200 fd32::2
expect "always" in_pod p1 ping -6 -n -q -c 20 -i 0.05 -W 1 -s 1232 fd32::2
grep -q ' 0% packet loss' "$folder/last.out" || fail "$(cat "$folder/last.out")"
