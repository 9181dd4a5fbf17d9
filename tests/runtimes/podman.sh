#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# podman on two hosts: containers serve and fetch pages over the mesh, sealed; published ports, addresses that are asked
# for, restart, reload and removal.
source "$(dirname "$0")/lib.sh"
begin_runtimes podman tcpdump jq

step "two hosts with podman"
machine a 1
machine b 2
start a
start b "$(address a)"
for name in a b; do
    podman_on "$name"
    podman_in "$name" network ls --format '{{.Name}} {{.Driver}}' >"$folder/networks"
    [[ $(<"$folder/networks") == "weave weave-cni" ]] || { cat "$folder/networks"; fail "podman on $name has other networks"; }
done
echo "ok: the network is weave, and the driver weave-cni"

step "a server on each, fetched from the other"
marker=weavemesh-marker-that-must-be-sealed
expect "a server on a" serve a web "page of a, $marker" -p 8080:80
expect "a server on b" serve b web "page of b, $marker"
[[ $(attached a) -eq 1 && $(attached b) -eq 1 ]] || fail "weaved has not attached one pod on each host"
[[ $(holder_of a "$(address_of 4 a web)") == cni/weave/*/eth0 ]] || fail "the address of the server on a is nobody's"
capture_begin
for family in 4 6; do
    expect "IPv$family, a from b" eventually 5 fetches a web "$(address_of $family b web)" "page of b, $marker"
    expect "IPv$family, b from a" eventually 5 fetches b web "$(address_of $family a web)" "page of a, $marker"
done
capture_end
[[ $(stat -c %s "$folder/wire.pcap") -gt 3000 ]] || fail "the capture saw next to nothing"
[[ $(occurrences weavemesh-marker "$folder/wire.pcap") -eq 0 ]] || fail "the marker is readable on the underlay"
echo "ok: the marker does not occur on the underlay"

step "a published port"
host c 3
for where in c b; do
    expect "$where gets the page from a's address" eventually 5 page "$where" "http://$(address a):8080/" "page of a"
done
expect "so does a itself" page a "http://$(address a):8080/" "page of a"
expect "and at 127.0.0.1" page a "http://127.0.0.1:8080/" "page of a"
expect "and a container of b, through the host" eventually 5 podman_in b exec web sh -c "$http_request | nc -w 5 $(address a) 8080 | grep 'page of a'"
refuse "b publishes nothing" page c "http://$(address b):8080/" "page of"

step "an address and a MAC address that are asked for"
expect "--ip and --mac-address" serve b asked "page of asked" --ip 10.40.0.9 --mac-address 02:00:5e:10:00:09
[[ $(address_of 4 b asked) == 10.40.0.9 ]] || fail "it has $(address_of 4 b asked)"
expect "they are in the container" podman_in b exec asked ip address show dev eth0
grep -q "02:00:5e:10:00:09" "$folder/last.out" || fail "the MAC address is another one"
grep -q "inet 10.40.0.9/12" "$folder/last.out" || fail "the address is another one"
expect "the page" eventually 5 fetches a web 10.40.0.9 "page of asked"
refuse "the same address on a" serve a second "page of second" --ip 10.40.0.9
grep -q "10.40.0.9" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say which address"; }
expect "what is left of it goes" podman_in a rm -f -t 0 second
[[ $(attached a) -eq 1 ]] || fail "a refused container is still attached"
expect "it is still b's" eventually 5 fetches a web 10.40.0.9 "page of asked"

step "network reload"
before="$(address_of 4 a web) $(address_of 6 a web)"
expect "reload" podman_in a network reload web
[[ "$(address_of 4 a web) $(address_of 6 a web)" == "$before" ]] || fail "it has other addresses now"
[[ $(attached a) -eq 1 ]] || fail "weaved has attached $(attached a) pods on a"
expect "b fetches the page" eventually 5 fetches b web "$(address_of 4 a web)" "page of a"
expect "and c does" eventually 5 page c "http://$(address a):8080/" "page of a"

step "restart"
expect "restart" podman_in a restart -t 0 web
[[ $(attached a) -eq 1 ]] || fail "weaved has attached $(attached a) pods on a"
for family in 4 6; do
    expect "b fetches the page, IPv$family" eventually 5 fetches b web "$(address_of $family a web)" "page of a"
done
expect "and c does" eventually 5 page c "http://$(address a):8080/" "page of a"
expect "a restart of weaved" in_host a weave-launch restart
expect "the container is reached" eventually 10 fetches b web "$(address_of 4 a web)" "page of a"

step "ten containers at once"
started=$SECONDS
pids=()
for i in {0..9}; do
    serve a "many$i" "page of many$i" >"$folder/many$i.out" 2>&1 &
    pids[i]=$!
done
for i in {0..9}; do
    wait "${pids[i]}" || { cat "$folder/many$i.out"; fail "container many$i does not start"; }
done
echo "$((SECONDS - started)) s"
[[ $(attached a) -eq 11 ]] || fail "weaved has attached $(attached a) pods on a"
for i in {0..9}; do
    address_of 4 a "many$i"
done >"$folder/addresses"
[[ $(sort -u "$folder/addresses" | wc -l) -eq 10 ]] || { cat "$folder/addresses"; fail "two of them have one address"; }
i=0
while read -r each; do
    expect "many$i" eventually 5 fetches b web "$each" "page of many$i"
    i=$((i + 1))
done <"$folder/addresses"

step "rm gives everything back"
{
    cat "$folder/addresses"
    for family in 4 6; do
        address_of $family a web
    done
} >"$folder/all"
echo >>"$folder/all"
expect "rm of all on a" podman_in a rm -f -t 0 --all
[[ $(attached a) -eq 0 ]] || fail "weaved has $(attached a) pods on a"
while read -r each; do
    [[ -z $each ]] || is_free a "$each" || fail "$each is still in use by $(holder_of a "$each")"
done <"$folder/all"
echo "ok: none of the addresses is in use"
in_host a iptables-save -t nat >"$folder/nat"
refuse "no rule of the published port is left" grep -q "8080" "$folder/nat"
refuse "c gets no page any more" page c "http://$(address a):8080/" "page of"
[[ -z $(in_host a sh -c 'ls /run/netns') ]] || fail "there are network namespaces left on a"
