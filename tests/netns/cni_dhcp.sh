#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weave-cni with the IPAM plugin dhcp: a container leases its address from a DHCP server on another host,
# which is no pod: pods may not be that.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/cni_lib.sh"
begin_cni busybox
[[ -x $other_plugins/dhcp ]] || skip "$other_plugins/dhcp is missing: apt-get install containernetworking-plugins"

host a 1
host b 2
start a
start b "$(address a)"
expect "an address of host b" ctl b expose 172.30.0.1/16
connected() { ctl a status connections | matches established; }
expect "the hosts are connected" eventually 10 connected

step "a DHCP server on b, the plugin's own daemon on a"
cat >"$folder/udhcpd.conf" <<END
start 172.30.1.10
end 172.30.1.12
interface weave
lease_file $folder/udhcpd.leases
pidfile $folder/udhcpd.pid
option subnet 255.255.0.0
option router 172.30.0.1
option lease 120
END
touch "$folder/udhcpd.leases"
server b busybox udhcpd -f "$folder/udhcpd.conf"
in_host a "$other_plugins/dhcp" daemon -timeout 3s -resendmax 1s -socketpath "$folder/dhcp.sock" >"$folder/dhcp.out" 2>&1 &
background+=($!)
expect "it listens" eventually 5 test -S "$folder/dhcp.sock"
conflist a leased 1.0.0 "{\"type\": \"weave-cni\", $(place a), \"ipam\": {\"type\": \"dhcp\", \"daemonSocketPath\": \"$folder/dhcp.sock\"}}"

step "a container leases its address over the mesh"
container c1
expect "ADD" cni a leased ADD c1
leased=$(address_of 0)
[[ $leased == 172.30.1.* ]] || fail "another address: $leased"
in_pod c1 ip -o -4 address show dev eth0 | matches " $leased/16 " || fail "the interface does not have it"
in_pod c1 ip route show default | matches "via 172.30.0.1 " || fail "there is no default route"
expect "it talks" eventually 5 pings b "$leased"
expect "CHECK" cni a leased CHECK c1
container c2
expect "ADD of another" cni a leased ADD c2
[[ $(address_of 0) != "$leased" ]] || fail "the same address twice"
expect "DEL" cni a leased DEL c2

step "DEL gives the lease back"
expect "DEL" cni a leased DEL c1
in_pod c1 ip link show eth0 >/dev/null 2>&1 && fail "the interface is left"
expect "and again" cni a leased DEL c1
expect "ADD once more" cni a leased ADD c1

step "nobody answers"
kill "$(cat "$folder/udhcpd.pid")"
container c3
refuse "ADD" cni a leased ADD c3
said '["msg"]'
in_pod c3 ip link show eth0 >/dev/null 2>&1 && fail "an interface is left"
echo "ok: nothing is left"

step "mode routed"
conflist a routed 1.0.0 "{\"type\": \"weave-cni\", \"mode\": \"routed\", $(place a), \"ipam\": {\"type\": \"dhcp\", \"daemonSocketPath\": \"$folder/dhcp.sock\"}}"
refuse "ADD" cni a routed ADD c3
code 2
