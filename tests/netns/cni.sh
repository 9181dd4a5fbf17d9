#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weave-cni and weave-ipam with weaved's own addresses: containers, many at a time, what runtimes forget, both modes.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/cni_lib.sh"
begin_cni tc

host a 1
host b 2
start a
start b "$(address a)"
for one in a b; do
    conflist $one weave 1.1.0 "{\"type\": \"weave-cni\", $(place $one)}"
done
holders() { ctl "$1" status attachments | grep -c " cni/\|^cni/" || true; }
held() { ctl "$1" ipam status -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["held"])'; }

step "two containers, two hosts"
expect "STATUS" eventually 10 cni a weave STATUS
container a1
container b1
expect "ADD" cni a weave ADD a1
first=$(address_of 0)
[[ $(said '["interfaces"][1]["mtu"]') -ge 1356 ]] || fail "the mtu is not told"
in_pod a1 ip route show default | matches "via $(said '["ips"][0]["gateway"]') " || fail "there is no default route"
expect "ADD on the other host" cni b weave ADD b1
expect "they talk" eventually 5 pings b1 "$first"
expect "and by IPv6" eventually 5 pings a1 "$(address_of 1)"
expect "CHECK" cni a weave CHECK a1
refuse "twice" cni a weave ADD a1
code 102
expect "a second interface" cni a weave ADD a1 net1
expect "DEL of that one" cni a weave DEL a1 net1
in_pod a1 ip link show eth0 >/dev/null || fail "the other interface went too"

step "addresses asked for"
for asked in CNI_ARGS=IP=10.32.99.1 RUNTIME_CONFIG='{"ips": ["10.32.99.2/12"]}'; do
    container c1
    conflist a asked 1.1.0 "{\"type\": \"weave-cni\", $(place a), \"capabilities\": {\"ips\": true}}"
    export "${asked?}"
    expect "ADD with $asked" cni a asked ADD c1
    [[ $(said '["ips"][0]["address"]') == 10.32.99.?/12 ]] || fail "another address: $(said '["ips"][0]')"
    container c2
    refuse "the same for another container" cni a asked ADD c2
    code 102
    unset "${asked%%=*}"
    expect "DEL" cni a asked DEL c1
    ip netns delete "$prefix-c1"
    ip netns delete "$prefix-c2"
done
conflist a part 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"subnet\": \"10.40.0.0/16\", \"routes\": []}}"
container c1
expect "one of a part of the range" cni a part ADD c1
[[ $(said '["ips"][0]["address"]') == 10.40.*/16 ]] || fail "another address: $(said '["ips"][0]')"
[[ -z $(in_pod c1 ip route show default) ]] || fail "there is a default route"
expect "DEL" cni a part DEL c1
conflist a part 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"subnet\": \"10.42.0.0/16\", \"routes\": [{\"dst\": \"192.168.77.0/24\"}]}}"
expect "a route without a gateway" cni a part ADD c1
in_pod c1 ip route show 192.168.77.0/24 | matches "via $(said '["ips"][0]["gateway"]') " || fail "it does not lead to the host"
expect "it leads out of the mesh" eventually 5 pings c1 "$(address b)"
refuse "there is no default route" pings c1 203.0.113.1
expect "CHECK" cni a part CHECK c1
expect "DEL" cni a part DEL c1

step "fifty at a time"
for ((i = 0; i < 50; i++)); do
    container "m$i"
done
add_one() {
    CNI_COMMAND=ADD CNI_CONTAINERID="m$1" CNI_NETNS="/run/netns/$prefix-m$1" CNI_IFNAME=eth0 CNI_PATH=$cni_path \
        in_host a "$build/src/cni/weave-cni" <<<"{\"cniVersion\": \"1.1.0\", \"name\": \"weave\", \"type\": \"weave-cni\", $(place a)}" \
        >"$folder/many.$1"
}
adding=()
began=${EPOCHREALTIME/./}
for ((i = 0; i < 50; i++)); do
    add_one $i &
    adding+=($!)
done
for ((i = 0; i < 50; i++)); do
    wait "${adding[$i]}" || { cat "$folder/many.$i"; fail "ADD of m$i"; }
done
echo "ok: ADD of all in $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
[[ $(grep -ho '"address":"10\.[^"]*"' "$folder"/many.* | sort -u | wc -l) -eq 50 ]] || fail "not 50 addresses"
expect "the last one talks" eventually 5 pings m49 "$first"

step "what the runtime forgot"
export VALID="[{\"containerID\": \"a1\", \"ifname\": \"eth0\"}, {\"containerID\": \"m7\", \"ifname\": \"eth0\"}]"
expect "GC" cni a weave GC
unset VALID
in_pod m7 ip link show eth0 >/dev/null || fail "a valid one is gone"
in_pod m8 ip link show eth0 >/dev/null 2>&1 && fail "a forgotten one is there"
[[ $(holders a) -eq 2 ]] || { ctl a status attachments; fail "$(holders a) attachments are left, not 2"; }
expect "CHECK of a valid one" cni a weave CHECK a1

step "DEL of what is gone"
before=$(held a)
ip netns delete "$prefix-m7"
cni_netns='' expect "the namespace" cni a weave DEL m7
cni_netns='' expect "and all of it" cni a weave DEL m7
expect "the address is given back" eventually 10 test "$(held a)" -lt "$before"

step "a container that renames its interface"
container e1
before=$(held a)
expect "ADD" cni a weave ADD e1
renamed=$(address_of 0)
in_pod e1 sh -c "ip link set eth0 down; ip link set eth0 name net7; ip link set net7 up"
container e2
expect "ADD of another one" cni a weave ADD e2
[[ $(held a) -eq $((before + 2)) ]] || fail "$(held a) addresses are held, not $((before + 2))"
expect "it talks" eventually 5 pings b1 "$renamed"
refuse "CHECK" cni a weave CHECK e1
code 103
expect "DEL" cni a weave DEL e1
in_pod e1 ip link show net7 >/dev/null 2>&1 && fail "the interface is there"
expect "DEL of the other one" cni a weave DEL e2
[[ $(held a) -eq $before ]] || fail "$(held a) addresses are held, not $before"

step "weaved is away for a while"
container c3
expect "ADD" cni a weave ADD c3
stop a >/dev/null
expect "DEL" cni a weave DEL c3
refuse "STATUS" cni a weave STATUS
code 50
[[ $(tombstones a) -eq 1 ]] || fail "$(tombstones a) tombstones, not 1"
(sleep 2 && start a) &
starting=$!
expect "ADD of the same, while weaved starts" cni a weave ADD c3
wait "$starting"
[[ $(tombstones a) -eq 0 ]] || fail "the tombstone is left"
expect "it talks" eventually 10 pings c3 "$first"
expect "CHECK of a container from before" eventually 10 cni a weave CHECK a1

step "deleted while weaved was away, and nobody calls a plugin afterwards"
container d1
container d2
conflist a bridged 1.0.0 "{\"type\": \"bridge\", \"bridge\": \"other\", \"ipam\": {\"type\": \"weave-ipam\", $(place a)}}"
before=$(held a)
expect "ADD" cni a weave ADD d1
gone=$(address_of 0)
expect "ADD" cni a weave ADD d2
expect "ADD of a plugin of others" cni a bridged ADD d2 net1
expect "they talk" eventually 5 pings b1 "$gone"
[[ $(held a) -eq $((before + 3)) ]] || fail "$(held a) addresses are held, not $((before + 3))"
stop a >/dev/null
expect "DEL" cni a weave DEL d1
expect "DEL of a plugin of others" cni a bridged DEL d2 net1
ip netns delete "$prefix-d2"
cni_netns='' expect "DEL of what is gone with its namespace" cni a weave DEL d2
[[ $(tombstones a) -eq 3 ]] || fail "$(tombstones a) tombstones, not 3"
echo "{" >"$folder/a/state/tombstones/weave,broken,eth0.json"
in_pod d1 ip link show eth0 >/dev/null || fail "the interface went without weaved"
start a
[[ $(tombstones a) -eq 0 ]] || fail "$(tombstones a) tombstones are left"
in_pod d1 ip link show eth0 >/dev/null 2>&1 && fail "the interface is there"
[[ $(held a) -eq $before ]] || fail "$(held a) addresses are held, not $before"
[[ $(grep -c 'event=tombstone_settled' "$folder/a/run/weaved.log") -ge 3 ]] || fail "the log does not say so"
[[ $(grep -c 'event=tombstone_not_settled.*weave,broken,eth0' "$folder/a/run/weaved.log") -eq 1 ]] || fail "the log does not tell the broken one"
refuse "nobody has the address of what was deleted" pings b1 "$gone"
expect "the others are there" eventually 10 pings b1 "$first"

step "weave-ipam for a plugin of others"
conflist a bridged 1.0.0 "{\"type\": \"bridge\", \"bridge\": \"other\", \"ipam\": {\"type\": \"weave-ipam\", $(place a),
    \"routes\": [{\"dst\": \"10.96.0.0/12\", \"gw\": \"10.32.0.1\"}]}}"
container c4
expect "ADD" cni a bridged ADD c4
in_pod c4 ip -o -4 address show eth0 | matches " $(address_of 0)/12 " || fail "another address"
in_pod c4 ip route show 10.96.0.0/12 | matches . || fail "the route is not there"
expect "CHECK" cni a bridged CHECK c4
conflist a piece 1.0.0 "{\"type\": \"bridge\", \"bridge\": \"other\", \"ipam\": {\"type\": \"weave-ipam\", $(place a), \"subnet\": \"10.41.0.0/16\"}}"
expect "ADD with a part of the range" cni a piece ADD c4 net1
[[ $(said '["ips"][0]["address"]') == 10.41.*/16 ]] || fail "another address: $(said '["ips"][0]')"
expect "CHECK" cni a piece CHECK c4 net1
expect "DEL" cni a piece DEL c4 net1
before=$(held a)
expect "DEL" cni a bridged DEL c4
[[ $(held a) -lt $before ]] || fail "the address is still held"

step "routed"
conflist a routed 1.1.0 "{\"type\": \"weave-cni\", \"mode\": \"routed\", $(place a)}"
conflist b routed 1.1.0 "{\"type\": \"weave-cni\", \"mode\": \"routed\", $(place b)}"
container r1
container r2
expect "ADD" cni a routed ADD r1
routed=$(address_of 0)
[[ $(said '["ips"][0]["address"]') == */32 ]] || fail "the address is on a network"
expect "ADD on the other host" cni b routed ADD r2
expect "they talk" eventually 5 pings r2 "$routed"
expect "with bridged ones too" eventually 5 pings b1 "$routed"
expect "CHECK" cni a routed CHECK r1
expect "DEL" cni a routed DEL r1
expect "DEL" cni b routed DEL r2

step "an interface without an address, for who leases one through it"
container n1
expect "attach" ctl a attach "/run/netns/$prefix-n1" none
[[ -z $(in_pod n1 ip -o -4 address show dev eth0) ]] || fail "there is an address"
in_pod n1 ip link show eth0 up | matches eth0 || fail "the interface is down"
expect "and then this one" ctl a attach "/run/netns/$prefix-n1" 172.30.0.5/16
in_pod n1 ip -o -4 address show dev eth0 | matches ' 172.30.0.5/16 ' || fail "the address is not there"
expect "detach" ctl a detach "/run/netns/$prefix-n1"
refuse "none of several" ctl a attach "/run/netns/$prefix-n1" none 10.32.7.7/12
refuse "in mode routed" ctl a attach "/run/netns/$prefix-n1" none --mode routed
grep -q "a routed pod needs an address" "$folder/last.out" || fail "it does not say why: $(cat "$folder/last.out")"

step "installing"
# shellcheck disable=SC2046
expect "cni install" in_host a "$launch" cni install --bin-dir "$folder/bin" --conf-dir "$folder/conf" $(folders a)
[[ -e $folder/conf/10-weave.conflist && -x $folder/bin/weave-cni ]] || fail "something is missing"
# shellcheck disable=SC2046
expect "cni remove" in_host a "$launch" cni remove $(folders a)
[[ ! -e $folder/conf/10-weave.conflist && ! -e $folder/bin/weave-cni ]] || fail "something is left"
