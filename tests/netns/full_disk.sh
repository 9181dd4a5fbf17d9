#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The disk of the state folder is full: traffic goes on, what cannot be kept is refused with one sentence, and when there is
# room again everything that was acknowledged is there. From the first to the last, two other hosts notice nothing.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

# small_disk FOLDER: a disk of its own for it
disks=()
small_disk() {
    mkdir -p "$1"
    mount -t tmpfs -o size=64k,mode=0700 weavemesh-test "$1" || skip "nothing can be mounted here"
    disks+=("$1")
}
unmount() {
    local status=$?
    set +e
    # Lazily: weaved still has its lock there; the clean-up ends it.
    [[ ${#disks[@]} -eq 0 ]] || umount -l "${disks[@]}"
    (exit "$status")
    cleanup
}
trap unmount EXIT
fill() {
    cat /dev/zero >"$1/filling" 2>/dev/null || true
    refuse "the disk of $1 is full" sh -c "echo more >'$1/more'"
    rm -f "$1/more"
}
room() { rm -f "$1/filling"; }

host a 1
host b 2
host c 3
host d 4
state=$folder/a/state
small_disk "$state"
start a
pod a p1 10.32.0.1/12 # alone, so that all of the range is a's
start b "$(address a)"
start d "$(address b)"
pod b p2 10.32.0.2/12
pod d p4 10.32.0.4/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
expect "and another" eventually 5 pings p2 10.32.0.4
expect "connect" ctl a connect "$(address b)"
expect "expose" ctl a expose 10.32.1.1/12
id=$(ctl a status | sed -n 's/^node id: *//p')
meanwhile_begin p2 10.32.0.4 b d
fill "$state"
kept() { (cd "$state" && sha256sum cluster.json identity.key boot-epoch targets exposed attachments); }
kept >"$folder/before"
# Addresses are written down before they are given.
full() { says "no space left\|$state/ipam cannot be written"; }
unchanged() { kept | diff "$folder/before" - || fail "the state is not what it was"; }

step "while it runs"
router=$(router_pid a)
expect "its own traffic goes on" pings p1 10.32.0.2 50
for words in "connect 192.168.77.77" "forget $(address b)" "expose 10.32.1.9/12" "hide 10.32.1.1/12"; do
    # shellcheck disable=SC2086
    refuse "weavectl $words" ctl a $words
    one_sentence weavectl
    full
    cat "$folder/last.out"
done
unchanged
expect "its targets are as they were" ctl a status targets
says "$(address b)"
grep -q 192.168.77.77 "$folder/last.out" && fail "what was refused is a target"
expect "its status" ctl a status
says "exposed: *10.32.1.1/12$"
refuse "what was refused is not exposed" in_host a sh -c "ip address show dev weave | grep -q 10.32.1.9"
expect "what could not be hidden is still there" in_host a sh -c "ip address show dev weave | grep -q 10.32.1.1"
ip netns add "$prefix-p3"
refuse "a new pod" ctl a attach "/run/netns/$prefix-p3"
one_sentence weavectl
full
refuse "no interface is left in it" in_host p3 ip link show eth0
refuse "another address for a pod" ctl a attach "/run/netns/$prefix-p1" 10.32.0.9/12
full
refuse "the pod does not have it" sh -c "ip -n $prefix-p1 address | grep -q 10.32.0.9"
expect "its own traffic goes on" pings p1 10.32.0.2 50
[[ $(router_pid a) == "$router" && -d /proc/$router ]] || fail "the router on a is not the one it was"

step "when it starts"
stop a >/dev/null
# shellcheck disable=SC2046
refuse "weave-launch start" in_host a "$launch" start $(folders a) --name a
says "no space left"
grep "^weaved: .*No space left" "$folder/last.out"
unchanged
room "$state"
start a
expect "with room again a is what it was" sh -c "[ \"$(ctl a status | sed -n 's/^node id: *//p')\" = $id ]"
expect "it knows its targets" ctl a status targets
says "$(address b)"
expect "and what is exposed" ctl a status
says "exposed: *10.32.1.1/12$"
expect "and connects" ctl a connect "$(address c)"
expect "its pods are reached" eventually 10 pings p2 10.32.0.1

step "when it starts for the first time"
small_disk "$folder/c/state"
fill "$folder/c/state"
# shellcheck disable=SC2046
on_c() { in_host c "$launch" "$1" $(folders c) "${@:2}"; }
refuse "a new cluster cannot begin" on_c start
says "weave-launch: .*$folder/c/state"
cat "$folder/last.out"
refuse "a token cannot be kept" on_c start --token-file "$folder/token" "$(address a)"
says "weave-launch: .*$folder/c/state"
cat "$folder/last.out"
[[ $(find "$folder/c/state" -mindepth 1 | wc -l) -eq 1 ]] || fail "something is left: $(ls "$folder/c/state")"
refuse "no bridge is left" in_host c ip link show weave
room "$folder/c/state"
expect "with room it joins" on_c start --token-file "$folder/token" "$(address a)"
on_c stop >/dev/null

step "the run folder is full"
small_disk "$folder/c/full"
fill "$folder/c/full"
# shellcheck disable=SC2046
refuse "weave-launch says so" in_host c "$launch" start --run-dir "$folder/c/full" --state-dir "$folder/c/state" "$(address a)"
cat "$folder/last.out"
says "weave-launch: .*$folder/c/full"
[[ -z $(ip netns pids "$prefix-c") ]] || fail "something still runs on c"
meanwhile_end 32
