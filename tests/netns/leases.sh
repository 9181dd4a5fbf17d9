#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Who holds an address, and for how long: networks side by side, what is attached again, released, moved, forgotten by its
# runtime, or lost with the state.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/cni_lib.sh"
begin_cni jq

host a 1
host b 2
start a
start b "$(address a)"
for one in a b; do
    conflist $one weave 1.1.0 "{\"type\": \"weave-cni\", $(place $one)}"
done
ipam() { ctl "$1" -o json ipam "${@:2}"; }
held() { ipam "$1" status | jq .held; }
holder_of() { ipam "$1" lookup "$2" | jq -r .holder; }
is_free() { [[ $(holder_of "$1" "$2") == null ]]; }

step "a host that is in a narrower network only"
expect "expose" eventually 10 ctl a expose net:10.43.0.0/16
container c0
expect "ADD" cni a weave ADD c0
gateway=$(said '["ips"][0]["gateway"]')
in_pod c0 ip route show default | matches "via ${gateway:-nobody} " || fail "its default route is another one"
expect "its gateway answers" eventually 5 pings c0 "$gateway"
expect "DEL" cni a weave DEL c0
expect "hide" ctl a hide

step "two networks of one host, each with a gateway of its own"
container c1
expect "ADD" eventually 10 cni a weave ADD c1
c1=$(address_of 0)
conflist a part 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"subnet\": \"10.40.0.0/16\"}}"
container c2
expect "ADD of a part of the range" cni a part ADD c2
gateway=$(said '["ips"][0]["gateway"]')
[[ $gateway == 10.40.* ]] || fail "its gateway is $gateway"
in_pod c2 ip route show default | matches "via $gateway " || fail "its default route is another one"
expect "its gateway answers" eventually 5 pings c2 "$gateway"

step "whoever adds to an attachment does so for the same holder"
expect "attach" ctl a attach "/run/netns/$prefix-c1"
[[ $(head -n 1 "$folder/last.out") == "$c1"/* ]] || fail "it got another address"
expect "attach with one more" ctl a attach "/run/netns/$prefix-c1" net:10.41.0.0/16
more=$(grep -o '10\.41\.[0-9.]*' "$folder/last.out" | head -n 1)
sleep 1
[[ $(holder_of a "$more") == cni/weave/c1/eth0 ]] || fail "$more is held by $(holder_of a "$more")"
expect "DEL" cni a weave DEL c1
is_free a "$more" || fail "$more is still held"

step "what is gone is gone"
expect "detach of nothing" ctl a detach "/run/netns/$prefix-c1"
grep -q "nothing of ours is in that namespace" "$folder/last.out" || fail "it does not say so"
expect "expose" ctl a expose ip:10.32.7.7
expect "hide" ctl a hide ip:10.32.7.7
is_free a 10.32.7.7 || fail "it is still held"
ctl a status | matches 10.32.7.7 && fail "it is still exposed"
expect "hide once more" ctl a hide ip:10.32.7.7
refuse "hide of a subnet" ctl a hide net:10.40.0.0/16
for one in 10.32.7.8 10.32.7.9; do
    expect "claim" ctl a ipam claim printer $one
done
expect "release of one of two" ctl a ipam release 10.32.7.8
is_free a 10.32.7.8 || fail "it is still held"
[[ $(holder_of a 10.32.7.9) == printer ]] || fail "the other one went too"
expect "release once more" ctl a ipam release 10.32.7.8

step "an address moves to another host while it rests"
expect "claim on a" ctl a ipam claim first 10.32.8.8
expect "release" ctl a ipam release first
began=${EPOCHREALTIME/./}
expect "claim on b" ctl b ipam claim second 10.32.8.8
echo "ok: after $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
said_in_use() { ! ctl a ipam claim third 10.32.8.8 2>"$folder/claim.err" && grep -q "in use on node b" "$folder/claim.err"; }
expect "on a it is in use on b" eventually 5 said_in_use
expect "release" ctl b ipam release second

step "a MAC address goes to one pod"
for one in m1 m2 m3; do
    container $one
done
export CNI_ARGS=MAC=02:11:22:33:44:55
expect "ADD" cni a weave ADD m1
refuse "ADD of another with it" cni a weave ADD m2
code 102
taken_on_b() { ! cni b weave ADD m3 >/dev/null 2>&1 || { cni b weave DEL m3 && false; }; }
expect "and on b" eventually 5 taken_on_b
code 102
expect "DEL" cni a weave DEL m1
expect "then it is free" cni a weave ADD m2
expect "DEL" cni a weave DEL m2
export CNI_ARGS=MAC=02:77:76:00:00:01
refuse "the router's" cni a weave ADD m2
code 102
unset CNI_ARGS

step "several addresses at a time"
expect "attach" ctl a attach "/run/netns/$prefix-m2" net:default net:10.44.0.0/16
[[ $(in_pod m2 ip -o -4 address show dev eth0 | wc -l) -eq 2 ]] || fail "it does not have two"
expect "detach" ctl a detach "/run/netns/$prefix-m2"

step "a DEL that found no router, while one runs"
container g1
expect "ADD" cni a weave ADD g1
g1=$(address_of 0)
sed -i "s|$folder/a/run/weave.sock|$folder/nowhere|" "$folder/a/weave.conflist"
expect "DEL" cni a weave DEL g1
[[ $(tombstones a) -eq 1 ]] || fail "there is no tombstone"
sed -i "s|$folder/nowhere|$folder/a/run/weave.sock|" "$folder/a/weave.conflist"
expect "ipam gc" ctl a ipam gc --apply
[[ $(tombstones a) -eq 0 ]] || fail "the tombstone is left"
expect "the address is free" eventually 3 is_free a "$g1"

step "containers of other plugins: who ends without a DEL gives its address back"
conflist a other 1.0.0 "{\"type\": \"bridge\", \"bridge\": \"other\", \"ipam\": {\"type\": \"weave-ipam\", $(place a)}}"
container d1
container d2
container d3
expect "ADD" cni a other ADD d1
d1=$(address_of 0)
expect "ADD" cni a other ADD d2
d2=$(address_of 0)
expect "ADD" cni a other ADD d3
d3=$(address_of 0)
ip netns delete "$prefix-d1"
expect "gc, to see" ctl a ipam gc
grep -q "would release cni/other/d1/eth0" "$folder/last.out" || fail "it would not release that of d1"
expect "gc" ctl a ipam gc --apply
is_free a "$d1" || fail "$d1 is still held"
[[ $(holder_of a "$d2") == cni/other/d2/eth0 ]] || fail "$d2 is no longer held"
ip netns delete "$prefix-d2"
stop a >/dev/null
start a
is_free a "$d2" || fail "$d2 is still held after a restart"
[[ $(holder_of a "$d3") == cni/other/d3/eth0 ]] || fail "$d3 is no longer held after a restart"

step "and who runs on keeps it, though the state is lost"
stop a >/dev/null
rm "$folder/a/state/ipam"
start a
[[ $(holder_of a "$d3") == cni/other/d3/eth0 ]] || fail "$d3 is nobody's"
expect "DEL" cni a other DEL d3
is_free a "$d3" || fail "$d3 is still held after its DEL"

step "a range that is used up: STATUS says that no ADD can be served"
host c 3
start c --ipalloc-range 10.90.0.0/29
conflist c weave 1.1.0 "{\"type\": \"weave-cni\", $(place c), \"ipam\": {\"routes\": []}}"
expect "STATUS" eventually 10 cni c weave STATUS
for ((i = 1; i <= 6; i++)); do
    expect "claim" ctl c ipam claim "holder$i" "10.90.0.$i"
done
refuse "STATUS" cni c weave STATUS
code 50
container e1
refuse "ADD" cni c weave ADD e1
code 101
expect "release" ctl c ipam release holder3

step "a range that shrinks while it is in use"
host d 4
start d --ipalloc-range 10.91.0.0/24
container f1
expect "attach" eventually 10 ctl d attach "/run/netns/$prefix-f1" ip:10.91.0.200
on() { in_host "$1" "$launch" "$2" --run-dir "$folder/$1/run" --state-dir "$folder/$1/state" "${@:3}"; }
expect "restart" on d restart --ipalloc-range 10.91.0.0/28
grep -q "1 addresses of pods are outside the range" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say so"; }
in_pod f1 ip -o -4 address show dev eth0 | matches "10.91.0.200/" || fail "the pod lost its address"
expect "detach" ctl d detach "/run/netns/$prefix-f1"
expect "restart" on d restart
grep -q "outside the range" "$folder/last.out" && { cat "$folder/last.out"; fail "it is still held"; }
echo "ok: it went with its pod"
