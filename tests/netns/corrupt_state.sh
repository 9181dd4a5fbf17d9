#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Every file of a state folder, damaged in every way: a damaged identity or secret stops weaved with a sentence and is left
# alone; what the mesh or the user can restore is kept aside and named, and the node goes on as the one it was.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

three_hosts_and_a_stranger
expect "connect" ctl b connect "$(address c)"
expect "expose" ctl b expose 10.32.1.2/12
state=$folder/b/state
log=$folder/b/run/weaved.log
node_id() { ctl "$1" status | sed -n 's/^node id: *//p'; }
id=$(node_id b)
# shellcheck disable=SC2046
launch_b() { in_host b "$launch" start $(folders b) --name b; }
runs() { [[ -d /proc/$(router_pid b 2>/dev/null || echo none) ]]; }
stop b >/dev/null
cp -a "$state" "$folder/pristine"
meanwhile_begin p1 10.32.0.3 a c

restore() {
    rm -rf "$state"
    cp -a "$folder/pristine" "$state"
}

# damage FILE HOW
damage() {
    local file=$state/$1
    case "$2" in
        truncated) truncate -s $(($(stat -c %s "$file") / 2)) "$file" ;;
        shortened) truncate -s -1 "$file" ;;
        emptied) truncate -s 0 "$file" ;;
        flipped*) # the lowest bit of one byte: what was a hexadecimal digit mostly is another one then
            local at=${2#flipped} byte
            byte=$(od -An -tu1 -j "$at" -N 1 "$file")
            # shellcheck disable=SC2059 # the byte is the format
            printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
            ;;
        directory) rm "$file" && mkdir "$file" ;;
        link) mv "$file" "$folder/elsewhere" && ln -s "$folder/elsewhere" "$file" ;;
        open) chmod 0644 "$file" ;;
        owned) chown 65534:65534 "$file" ;;
    esac
}

# stops FILE HOW TEXT: weaved does not start, names the file and says this, and touches nothing
stops() {
    restore
    damage "$1" "$2"
    cp -a "$state" "$folder/damaged"
    refuse "$1 $2: weaved does not start" launch_b
    grep "^weaved: " "$folder/last.out" >"$folder/sentence" || { cat "$folder/last.out"; fail "weaved says nothing"; }
    cat "$folder/sentence"
    [[ $(wc -l <"$folder/sentence") -eq 1 ]] || fail "weaved says more than one sentence"
    grep -q -F "$state/$1" "$folder/sentence" || fail "it does not name $1"
    grep -q -e "$3" "$folder/sentence" || fail "it does not say '$3'"
    runs && fail "weaved runs"
    # The epoch may rise, which loses nothing.
    diff -r --no-dereference -x lock -x boot-epoch "$folder/damaged" "$state" || fail "something was changed"
    rm -rf "$folder/damaged"
}

# recovers FILE HOW: weaved starts as the node it was, says what it found and keeps it aside
recovers() {
    local lines
    restore
    damage "$1" "$2"
    lines=$(wc -l <"$log")
    expect "$1 $2: weaved starts" launch_b
    tail -n "+$((lines + 1))" "$log" >"$folder/said"
    grep "state_file_damaged" "$folder/said" | grep -F "$state/$1" | grep -F "$1.corrupt" ||
        { cat "$folder/said"; fail "it does not say that $1 was damaged and where it is kept"; }
    [[ -e $state/$1.corrupt ]] || fail "the damaged file is not there"
    ctl b status | grep "^warning: .*$1 was damaged" || fail "status does not warn of it"
    [[ $(node_id b) == "$id" ]] || fail "b is another node now"
    # What was said under the lost epoch must not outlive it.
    [[ $1 != boot-epoch && $1 != attachments ]] || expect "its pod is reached" eventually 15 pings p1 10.32.0.2
    stop b >/dev/null
}

step "identity.key"
for how in truncated shortened emptied flipped5 flipped70; do
    stops identity.key "$how" "is damaged: restore it"
done
stops identity.key directory "not a plain file"
stops identity.key link "symbolic link"
stops identity.key open "chmod 600"
stops identity.key owned "another user"

step "cluster.json"
for how in truncated emptied flipped2; do
    stops cluster.json "$how" "is not a cluster file"
done
stops cluster.json directory "not a plain file"
stops cluster.json open "chmod 600"
stops cluster.json owned "another user"

stops lock directory "cannot open the lock file"

step "what can be made good"
for name in boot-epoch targets exposed attachments; do
    for how in truncated emptied flipped0 directory; do
        recovers "$name" "$how"
    done
done

step "nothing was lost"
restore
expect "with its files b starts" launch_b
[[ $(node_id b) == "$id" ]] || fail "b is another node now"
expect "and knows its targets" ctl b status targets
says "$(address a)" && says "$(address c)"
expect "and what is exposed" ctl b status
says "exposed: *10.32.1.2/12"
expect "and is reached" eventually 20 pings p1 10.32.1.2
stop b >/dev/null

step "no identity at all"
rm "$state/identity.key"
lines=$(wc -l <"$log")
expect "without identity.key weaved starts" launch_b
tail -n "+$((lines + 1))" "$log" | grep "identity.key.*new node" || fail "it does not say that it is a new node"
[[ $(node_id b) != "$id" ]] || fail "b has the identity that was removed"
stop b >/dev/null
meanwhile_end 32
