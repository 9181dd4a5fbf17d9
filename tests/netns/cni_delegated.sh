#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weave-cni with the addresses of host-local and static, before portmap and bandwidth; without weaved.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/cni_lib.sh"
begin_cni socat tc iptables

host a 1
host b 2
start a
start b "$(address a)"
range() {
    echo "\"ipam\": {\"type\": \"host-local\", \"dataDir\": \"$folder/$1/leases\", \"subnet\": \"10.40.0.0/16\",
        \"rangeStart\": \"$2\", \"rangeEnd\": \"$3\", \"routes\": [{\"dst\": \"10.96.0.0/12\"}]}"
}
leases() { find "$folder/$1/leases/net" -name '10.*' 2>/dev/null | wc -l; }

step "containers on two hosts reach each other, in every version that these plugins speak"
number=0
for version in 0.3.0 0.3.1 0.4.0 1.0.0; do
    conflist a net "$version" "{\"type\": \"weave-cni\", $(place a), $(range a 10.40.1.10 10.40.1.13)}"
    conflist b net "$version" "{\"type\": \"weave-cni\", $(place b), $(range b 10.40.2.10 10.40.2.13)}"
    number=$((number + 1))
    for one in a b; do
        container "$one$number"
        expect "ADD on $one, version $version" cni "$one" net ADD "$one$number"
        [[ $(said '["interfaces"][1]["sandbox"]') == "/run/netns/$prefix-$one$number" ]] || fail "the sandbox"
    done
    expect "they talk" eventually 5 pings "a$number" "$(address_of 0)"
    in_pod "a$number" ip route show 10.96.0.0/12 | matches "via 10.40.0.1 dev eth0" || fail "host-local's route is not there"
    [[ $version < 0.4.0 ]] || expect "CHECK" cni a net CHECK "a$number"
done
container a5
refuse "no address left" cni a net ADD a5
code 999
refuse "twice into one container" cni a net ADD a1
code 102
[[ $(leases a) -eq 4 ]] || fail "$(leases a) leases on a, not 4"

step "CHECK finds sabotage"
ip -n "$prefix-a4" route del 10.96.0.0/12
refuse "the route is gone" cni a net CHECK a4
code 103
ip -n "$prefix-a4" route add 10.96.0.0/12 via 10.40.0.1
expect "it is back" cni a net CHECK a4
ip -n "$prefix-a4" address del "$(in_pod a4 ip -o -4 address show eth0 | awk '{ print $4 }')" dev eth0
refuse "the address is gone" cni a net CHECK a4
code 103

step "DEL, however often, whatever is gone"
expect "DEL" cni a net DEL a1
[[ $(in_pod a1 ip -o link show | wc -l) -eq 1 ]] || fail "eth0 is still there"
expect "and again" cni a net DEL a1
cni_netns='' expect "and without a namespace" cni a net DEL a1
ip netns delete "$prefix-a2"
cni_netns='' expect "DEL of a container that is gone" cni a net DEL a2
expect "the interface of the host is gone too" eventually 5 test "$(ctl a status attachments | grep -c net/a2)" -eq 0
[[ $(leases a) -eq 2 ]] || fail "$(leases a) leases on a, not 2"
expect "there is room again" cni a net ADD a5

step "a failure after host-local gave an address gives it back"
before=$(leases a)
container a6
conflist a clash 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"type\": \"host-local\", \"dataDir\": \"$folder/a/leases\",
    \"subnet\": \"10.40.0.0/16\", \"routes\": [{\"dst\": \"192.0.2.0/24\", \"gw\": \"203.0.113.1\"}]}}"
refuse "a route that cannot be" cni a clash ADD a6
code 5
[[ $(leases a) -eq $before && $(find "$folder/a/leases/clash" -name '10.*' | wc -l) -eq 0 ]] || fail "a lease is left"
in_pod a6 ip link show eth0 >/dev/null 2>&1 && fail "an interface is left"

step "static addresses, and a MAC address asked for"
conflist a fixed 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"type\": \"static\", \"addresses\":
    [{\"address\": \"10.50.0.9/16\"}, {\"address\": \"fd50::9/64\"}], \"dns\": {\"nameservers\": [\"9.9.9.9\"]}}}"
export CNI_ARGS="K8S_POD_NAME=p;MAC=02:11:22:33:44:55;IgnoreUnknown=1"
expect "ADD" cni a fixed ADD a6
unset CNI_ARGS
in_pod a6 ip -o address show eth0 | matches fd50::9/64 || fail "the IPv6 address is not there"
in_pod a6 ip -o link show eth0 | matches -i 02:11:22:33:44:55 || fail "another MAC address"
[[ $(said '["dns"]["nameservers"]') == "['9.9.9.9']" ]] || fail "the name server is lost"
expect "CHECK" cni a fixed CHECK a6
expect "DEL" cni a fixed DEL a6

step "before portmap and bandwidth"
conflist a chain 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"type\": \"host-local\", \"dataDir\":
    \"$folder/a/leases\", \"subnet\": \"10.40.0.0/16\", \"rangeStart\": \"10.40.1.20\", \"routes\": [{\"dst\": \"0.0.0.0/0\"}]}}" \
    '{"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}' \
    '{"type": "bandwidth", "capabilities": {"bandwidth": true}}'
export RUNTIME_CONFIG='{"portMappings": [{"hostPort": 18080, "containerPort": 8080, "protocol": "tcp"}],
    "bandwidth": {"ingressRate": 80000000, "ingressBurst": 8000000}}'
reaches_port() { in_host b timeout 2 socat -u /dev/null "TCP:$(address a):18080"; }
ctl a expose 10.40.0.1/16 >/dev/null
in_host a sysctl -qw net.ipv4.ip_forward=1
expect "ADD" cni a chain ADD a6
in_host a tc qdisc show dev "$(said '["interfaces"][0]["name"]')" | matches "qdisc tbf .* rate 80Mbit" || fail "bandwidth found no link"
server a6 socat -u TCP-LISTEN:8080,fork,reuseaddr OPEN:/dev/null
eventually 3 listening a6 8080
expect "the host's port leads to the container" eventually 5 reaches_port
expect "DEL" cni a chain DEL a6
refuse "the host's port leads nowhere" reaches_port
unset RUNTIME_CONFIG

step "before tuning and firewall"
for plugin in tuning firewall; do
    [[ -x $other_plugins/$plugin ]] || fail "$other_plugins/$plugin is missing"
done
conflist a tuned 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"type\": \"host-local\", \"dataDir\":
    \"$folder/a/leases\", \"subnet\": \"10.40.0.0/16\", \"rangeStart\": \"10.40.1.20\"}}" \
    "{\"type\": \"tuning\", \"dataDir\": \"$folder/a/tuning\", \"mtu\": 1300,
    \"sysctl\": {\"net.ipv4.conf.eth0.arp_filter\": \"1\"}}" \
    '{"type": "firewall", "backend": "iptables"}'
container t1
expect "ADD" cni a tuned ADD t1
tuned=$(address_of 0)
[[ $(in_pod t1 cat /proc/sys/net/ipv4/conf/eth0/arp_filter) == 1 ]] || fail "tuning found no interface"
in_pod t1 ip link show eth0 | matches "mtu 1300" || fail "tuning did not change the mtu"
in_host a iptables -S CNI-FORWARD | matches "$tuned/32" || fail "firewall let nothing through"
expect "it talks" eventually 5 pings b3 "$tuned"
expect "DEL" cni a tuned DEL t1
in_host a iptables -S CNI-FORWARD | matches "$tuned/32" && fail "a rule is left"

step "without weaved"
expect "a container" cni a net ADD a6
stop a >/dev/null
began=$SECONDS
container a7
refuse "ADD" cni a chain ADD a7
code 11
[[ $((SECONDS - began)) -ge 3 && $((SECONDS - began)) -le 15 ]] || fail "it waited $((SECONDS - began)) s"
expect "DEL" cni a net DEL a6
expect "and again" cni a net DEL a6
[[ $(tombstones a) -eq 1 ]] || fail "$(tombstones a) tombstones, not 1"
[[ $(leases a) -le 3 ]] || fail "host-local was not asked"
start a
expect "DEL of another works the tombstone off" cni a net DEL a7
[[ $(tombstones a) -eq 0 ]] || fail "the tombstone is left"
in_pod a6 ip link show eth0 >/dev/null 2>&1 && fail "the interface is left"
expect "the same name once more" cni a net ADD a6
