#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The plugins as the CNI specification has it, where Debian's runtimes do not go: all versions, CHECK after sabotage, STATUS,
# GC, fifty at once, capabilities as containerd writes them, delegation from and to the reference plugins.
source "$(dirname "$0")/lib.sh"
begin_runtimes jq

step "a host"
machine a 1
in_host a sh -c "mkdir -p /opt/cni/bin && ln -s $build/src/cni/weave-cni $build/src/cni/weave-ipam /opt/cni/bin"
host b 2
start a
start b "$(address a)"
pod b p2 10.47.0.1/12 # the other end

cni() { in_host a "$repository/tests/runtimes/tools/cni.py" "$folder/$1.conflist" "${@:2}"; }
# network FILE VERSION PLUGINS: a configuration list, named like the file
network() { printf '{"cniVersion": "%s", "name": "%s", "plugins": [%s]}\n' "$2" "$1" "$3" >"$folder/$1.conflist"; }
network net 1.1.0 '{"type": "weave-cni", "capabilities": {"ips": true, "mac": true, "dns": true}}'
netns() { in_host a sh -es <<<"for each in $*; do ip netns add \$each; ip -n \$each link set lo up; done"; }
no_netns() { in_host a sh -es <<<"for each in $*; do ip netns delete \$each; done"; }
of() { jq -r ".ips[$1].address" "$folder/last.out" | sed 's,/.*,,'; }
holds() { [[ $(ctl a -o json ipam status | jq .held) -eq $1 ]]; }
at() { echo "/run/netns/$1"; }
says() { grep -qi -e "$1" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say '$1'"; }; }
reaches_other() { in_host a ip netns exec "$1" ping -n -q -c 1 -W 1 10.47.0.1; }

step "every version: ADD, CHECK, DEL"
own=$(ctl a -o json ipam status | jq .held)
for version in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
    network net 1.1.0 '{"type": "weave-cni"}'
    sed -i "s/1\\.1\\.0/$version/" "$folder/net.conflist"
    netns v
    expect "$version: ADD" cni net add v "$(at v)"
    [[ $(jq -r .cniVersion "$folder/last.out") == "$version" ]] || fail "the result is of another version"
    in_host a ip -n v -j address show dev eth0 | jq -r '.[0].addr_info[].local' >"$folder/real"
    for i in 0 1; do
        grep -qx "$(of $i)" "$folder/real" || { cat "$folder/last.out" "$folder/real"; fail "the result has another address than the pod"; }
    done
    expect "$version: the other host is reached" eventually 5 reaches_other v
    [[ $version == 0.3.* ]] || expect "$version: CHECK" cni net check v "$(at v)"
    expect "$version: DEL" cni net del v "$(at v)"
    refuse "$version: the interface is gone" in_host a ip -n v link show eth0
    no_netns v
done
network net 1.1.0 '{"type": "weave-cni", "capabilities": {"ips": true, "mac": true, "dns": true}}'

step "VERSION, asked as podman does"
expect "VERSION" in_host a env CNI_COMMAND=VERSION CNI_IFNAME=dummy CNI_NETNS=dummy CNI_PATH=dummy /opt/cni/bin/weave-cni <<<'{"cniVersion": "1.0.0"}'
[[ $(jq -r '.supportedVersions | last' "$folder/last.out") == 1.1.0 ]] || { cat "$folder/last.out"; fail "1.1.0 is not the last one"; }

step "ADD twice, DEL of anything"
netns one
expect "ADD" cni net add one "$(at one)"
address=$(of 0)
refuse "ADD again" cni net add one "$(at one)"
says "eth0"
expect "the first is as it was" eventually 5 reaches_other one
expect "CHECK" cni net check one "$(at one)"
expect "DEL without a namespace and without the result" cni net del one --forget
expect "DEL again" cni net del one
expect "DEL with a namespace that is not there" cni net del one /run/netns/none
expect "DEL of what never was" cni net del never
expect "the address is nobody's" is_free a "$address"

step "CHECK sees what was done to a pod"
# sabotage WORD IP-COMMAND...: in the pod; CHECK has the word in what it says
sabotage() {
    cni net add one "$(at one)" >"$folder/last.out"
    in_host a ip -n one "${@:2}"
    refuse "CHECK after: ip ${*:2}" cni net check one "$(at one)"
    says "$1"
    cat "$folder/last.out"
    expect "DEL" cni net del one "$(at one)"
}
sabotage "the address" address flush dev eth0
sabotage "the route" route delete default
sabotage "down" link set eth0 down
sabotage "not attached" link delete eth0

step "addresses that are asked for"
expect "by capability" cni net add one "$(at one)" --runtime '{"ips": ["10.33.0.7/12"], "mac": "02:00:5e:00:00:07"}'
[[ $(of 0) == 10.33.0.7 ]] || fail "it is $(of 0)"
[[ $(jq -r '.interfaces[] | select(.sandbox) | .mac' "$folder/last.out") == 02:00:5e:00:00:07 ]] || fail "it has another MAC address"
netns two
refuse "the same for another pod" cni net add two "$(at two)" --args "IgnoreUnknown=1;IP=10.33.0.7"
says "10.33.0.7"
refuse "nothing is left of the one refused" in_host a ip -n two link show eth0
expect "DEL" cni net del one "$(at one)"
expect "by CNI_ARGS" cni net add two "$(at two)" --args "IgnoreUnknown=1;IP=10.33.0.7"
[[ $(of 0) == 10.33.0.7 ]] || fail "it is $(of 0)"
expect "DEL" cni net del two "$(at two)"
refuse "one outside of the range" cni net add two "$(at two)" --args "IP=192.0.2.7"
says "192.0.2.7"
no_netns one two

step "capabilities as containerd 1.6 writes them, with portmap and bandwidth behind"
network chain 1.0.0 '{"type": "weave-cni", "capabilities": {"dns": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "bandwidth", "capabilities": {"bandwidth": true}}'
runtime='{"portMappings": [{"HostPort": 18080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
    "bandwidth": {"IngressRate": 80000000, "IngressBurst": 80000000, "EgressRate": 80000000, "EgressBurst": 80000000},
    "dns": {"Servers": ["192.0.2.53"], "Searches": ["example.org"], "Options": []}}'
netns web
expect "ADD" cni chain add web "$(at web)" --runtime "$runtime"
[[ $(jq -r '.dns.nameservers[0]' "$folder/last.out") == 192.0.2.53 ]] || { cat "$folder/last.out"; fail "the name server is not in the result"; }
mkdir "$folder/www"
echo "page of web" >"$folder/www/index.html"
in_background in_host a ip netns exec web busybox httpd -f -p 80 -h "$folder/www"
host c 3
expect "the published port" eventually 5 page c "http://$(address a):18080/" "page of web"
in_host a tc qdisc >"$folder/shapers"
[[ $(grep -c "tbf.* rate 80Mbit" "$folder/shapers") -eq 2 ]] || { cat "$folder/shapers"; fail "the bandwidth is not limited in both directions"; }
# No CHECK: portmap 1.1.1 looks for the IPv4 rules of a pod with both families in the IPv6 table.
expect "DEL" cni chain del web "$(at web)" --runtime "$runtime"
[[ $(in_host a tc qdisc | grep -c tbf) -eq 0 && $(in_host a iptables-save | grep -c 18080) -eq 0 ]] || fail "rules are left"
no_netns web

step "weave-ipam under the reference bridge, host-local under weave-cni"
network ipam 1.0.0 '{"type": "bridge", "bridge": "other", "ipam": {"type": "weave-ipam"}}'
netns one
expect "bridge with weave-ipam: ADD" cni ipam add one "$(at one)"
address=$(of 0)
[[ $(holder_of a "$address") == cni/ipam/one/eth0 ]] || fail "$address is that of '$(holder_of a "$address")'"
[[ $(attached a) -eq 0 ]] || fail "weaved has attached it"
expect "DEL" cni ipam del one "$(at one)"
expect "the address is nobody's" is_free a "$address"
network local 1.0.0 '{"type": "weave-cni", "ipam": {"type": "host-local", "subnet": "10.32.0.0/12",
    "rangeStart": "10.46.0.10", "rangeEnd": "10.46.0.20"}}'
expect "weave-cni with host-local: ADD" cni local add one "$(at one)"
[[ $(of 0) == 10.46.0.* ]] || fail "it is $(of 0)"
[[ $(holder_of a "$(of 0)") == cni/local/one/eth0 ]] || fail "weaved does not know whose $(of 0) is"
expect "the other host is reached" eventually 5 reaches_other one
expect "CHECK" cni local check one "$(at one)"
expect "DEL" cni local del one "$(at one)"
[[ -z $(in_host a find /var/lib/cni/networks/local -name '10.*') ]] || fail "host-local still has the address"
no_netns one

step "fifty at once"
netns c{0..49}
expect "ADD of all" cni net add-many 50
cat "$folder/last.out"
[[ $(attached a) -eq 50 ]] || fail "weaved has attached $(attached a) pods"
ctl a -o json status attachments | jq -r '.[].addresses[]' | sort >"$folder/given"
[[ $(wc -l <"$folder/given") -eq 100 && $(uniq -d "$folder/given") == "" ]] || { uniq -c "$folder/given"; fail "not each has its own two addresses"; }
for i in 0 17 49; do
    expect "c$i reaches the other host" eventually 5 reaches_other "c$i"
done

step "GC"
expect "GC with all of them" cni net gc c{0..49}
[[ $(attached a) -eq 50 ]] || fail "it removed what is there"
expect "GC with three of them" cni net gc c0 c17 c49
[[ $(attached a) -eq 3 ]] || fail "weaved has attached $(attached a) pods"
expect "the addresses are nobody's" holds $((own + 4)) # the three pods', and the host's own, which came with the first pod
for i in 0 17 49; do
    expect "c$i reaches the other host" reaches_other "c$i"
done
refuse "c1 has no interface" in_host a ip -n c1 link show eth0
expect "DEL of all" cni net del-many 50
[[ $(attached a) -eq 0 ]] || fail "weaved has attached $(attached a) pods"
no_netns c{0..49}

step "STATUS"
expect "weaved runs" cni net status
netns one
expect "ADD" cni net add one "$(at one)"
stop a >/dev/null
refuse "weaved does not run" cni net status
says "weave-cni: 50: .*weave-launch start"
started=$SECONDS
netns two
refuse "ADD" cni net add two "$(at two)"
says "weave-cni: 11: "
[[ $((SECONDS - started)) -le 15 ]] || fail "it took $((SECONDS - started)) s"
expect "DEL all the same" cni net del one "$(at one)"
start a "$(address b)"
expect "weaved runs" eventually 10 cni net status
expect "ADD" cni net add two "$(at two)"
expect "the other host is reached" eventually 10 reaches_other two
expect "what was deleted meanwhile is gone" eventually 5 has_attached a 1
refuse "in the pod too" in_host a ip -n one link show eth0
