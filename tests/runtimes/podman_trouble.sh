#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# podman when something goes wrong: weaved is not there, containers end without a word, the machine's power fails.
source "$(dirname "$0")/lib.sh"
begin_runtimes podman jq

step "two hosts with podman"
machine a 1
machine b 2
start a
start b "$(address a)"
podman_on a
podman_on b
expect "a server on a" serve a web "page of a"
expect "a server on b" serve b web "page of b"
expect "a gets the page of b" eventually 5 fetches a web "$(address_of 4 b web)" "page of b"

# is_buried HOST COUNT: so many removals wait on the disk for weaved
is_buried() {
    local count
    count=$(find "$folder/$1/state/tombstones" -name '*.json' 2>/dev/null | wc -l)
    [[ $count -eq $2 ]] || { echo "$count wait"; return 1; }
}
only_the_server() { [[ $(attached a) -eq 1 && $(ctl a -o json ipam status | jq .held) -eq 2 ]]; }
# The process of a container on a host, as that host numbers it.
process_of() { podman_in "$1" inspect -f '{{.State.Pid}}' "$2"; }
# What podman keeps for a container that runs: the process that waits for it, and its namespace.
waiter_of() { podman_in "$1" inspect -f '{{.State.ConmonPid}}' "$2"; }
namespace_of() { podman_in "$1" inspect -f '{{.NetworkSettings.SandboxKey}}' "$2"; }

# powerless HOST NAME: the container's end, of which neither podman nor a plugin learns anything
powerless() {
    local namespace
    namespace=$(namespace_of "$1" "$2")
    in_host "$1" kill -KILL "$(waiter_of "$1" "$2")"
    in_host "$1" kill -KILL "$(process_of "$1" "$2")"
    in_host "$1" sh -c "umount $namespace && rm $namespace"
}

step "weaved is not running"
expect "a second server on a" serve a gone "page of gone"
gone=$(address_of 4 a gone)
stop a >/dev/null
started=$SECONDS
refuse "run without weaved" serve a late "page of late"
elapsed=$((SECONDS - started))
[[ $elapsed -le 20 ]] || fail "it took $elapsed s"
grep -q "weave-launch start" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say what to do"; }
echo "ok: it says so after $elapsed s"
tail -n 1 "$folder/last.out"
expect "rm of what was refused" podman_in a rm -f -t 0 late
expect "rm of a container that ran" podman_in a rm -f -t 0 gone
podman_in a ps -a --format '{{.Names}}' >"$folder/left"
[[ $(<"$folder/left") == web ]] || { cat "$folder/left"; fail "podman has other containers than web"; }
[[ -z $(in_host a find /run/netns -mindepth 1 -not -path "$(namespace_of a web)") ]] || fail "a namespace is left"
is_buried a 2 || is_buried a 1 || fail "no removal was kept for weaved"
start a "$(address b)"
expect "the address is nobody's" eventually 5 is_free a "$gone"
[[ $(attached a) -eq 1 ]] || fail "weaved has $(attached a) pods on a"
expect "what ran is reached" eventually 10 fetches b web "$(address_of 4 a web)" "page of a"
expect "run works again" serve a late "page of late"
expect "and is reached" eventually 5 fetches b web "$(address_of 4 a late)" "page of late"
expect "rm" podman_in a rm -f -t 0 late
expect "the removals are done" eventually 5 is_buried a 0
expect "nothing is held but by the server and the host" only_the_server

step "weaved dies while ten containers start"
pids=()
for i in {0..9}; do
    serve a "many$i" "page of many$i" >"$folder/many$i.out" 2>&1 &
    pids[i]=$!
done
sleep 1
in_host a kill -KILL "$(router_pid a)"
in_host a weave-launch start "$(address b)" >"$folder/launch.out" 2>&1 || { cat "$folder/launch.out"; fail "weaved does not start again"; }
wait "${pids[@]}" || true
ran=0
for i in {0..9}; do
    if [[ $(podman_in a inspect -f '{{.State.Running}}' "many$i") == true ]]; then
        ran=$((ran + 1))
        expect "many$i" eventually 10 fetches b web "$(address_of 4 a "many$i")" "page of many$i"
    else
        tail -n 1 "$folder/many$i.out"
    fi
done
echo "$ran of 10 started"
[[ $(attached a) -eq $((ran + 1)) ]] || { ctl a status attachments; fail "weaved has $(attached a) pods on a"; }
for i in {0..9}; do
    podman_in a rm -f -t 0 "many$i" >/dev/null || fail "rm of many$i"
done
expect "nothing of them is left" eventually 5 only_the_server

step "a container ends by itself"
expect "a server" serve b short "page of short"
short=$(address_of 4 b short)
in_host b kill -KILL "$(process_of b short)"
expect "its address is nobody's" eventually 10 is_free b "$short"
expect "rm" podman_in b rm -f -t 0 short

step "a container ends, and neither podman nor the plugin hears of it"
expect "a server" serve b lost "page of lost"
lost=$(address_of 4 b lost)
powerless b lost
expect "weaved sees it" eventually 10 is_free b "$lost"
expect "rm" podman_in b rm -f -t 0 lost

step "so it is while weaved is down"
expect "a server" serve b lost "page of lost"
lost=$(address_of 4 b lost)
stop b >/dev/null
powerless b lost
start b "$(address a)"
expect "weaved sees it" eventually 10 is_free b "$lost"
expect "rm" podman_in b rm -f -t 0 lost
[[ $(attached b) -eq 1 ]] || fail "weaved has $(attached b) pods on b"

step "ipam gc"
expect "there is nothing to do" ctl b -o json ipam gc
[[ $(jq '.released | length' "$folder/last.out") -eq 0 ]] || { cat "$folder/last.out"; fail "it names something that runs"; }
expect "nor when it is told to do it" ctl b ipam gc --apply
expect "the containers are reached" eventually 5 fetches a web "$(address_of 4 b web)" "page of b"
