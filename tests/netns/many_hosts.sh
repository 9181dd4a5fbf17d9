#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Fourteen hosts watch a few of each other: sessions with the others come with packets, and four that die at once are
# out of the routes of all, also of those that never had a session with them.
source "$(dirname "$0")/lib.sh"
begin ping

names=(a b c d e f g h i j k l m n)
for index in "${!names[@]}"; do
    host "${names[$index]}" "$((index + 1))"
done
start a
for name in "${names[@]:1}"; do
    start "$name" "$(address a)"
done

# paths HOST: the other nodes and what HOST uses to get to them.
paths() { ctl "$1" status peers | awk 'NR > 1 { print $1, $3 }'; }
settled() {
    paths "$1" >"$folder/paths"
    [[ $(wc -l <"$folder/paths") -eq 13 ]] && ! matches -v -E ' (direct|idle)$' "$folder/paths" && matches ' idle$' "$folder/paths"
}
for name in "${names[@]}"; do
    eventually 60 settled "$name" || fail "host $name does not know all others, or has a session with each of them"
done
echo "ok: fourteen hosts know each other, and none has sessions with all"

stranger=$(paths a | awk '$2 == "idle" { print $1 }' | head -n 1)
pod a pa 10.32.0.1/12
pod "$stranger" pb 10.32.0.2/12
eventually 10 pings pa 10.32.0.2 || fail "a pod does not reach one on host $stranger, which its host had no session with"
direct() { paths a | matches "^$stranger direct"; }
eventually 5 direct || fail "host a has no path to host $stranger although packets go there"
echo "ok: the first packet brings a session and a path"

dead=(k l m n)
[[ " ${dead[*]} " != *" $stranger "* ]] || dead=(c d e f)
for name in "${dead[@]}"; do
    kill -KILL "$(router_pid "$name")"
done
missed() {
    local name
    paths "$1" >"$folder/paths"
    for name in "${dead[@]}"; do
        matches "^$name unreachable" "$folder/paths" || return 1
    done
}
for name in "${names[@]}"; do
    [[ " ${dead[*]} " == *" $name "* ]] || eventually 20 missed "$name" || fail "host $name does not know who is dead"
done
echo "ok: all ten that live know the four that died at once"
pings pa 10.32.0.2 5 || fail "pods of hosts that live do not reach each other"
