#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Who may use the control socket, a daemon that hangs, and the example program: each failure is one sentence that says what
# to do.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin setpriv

client=$build/examples/client/example_client
host a 1
start a
socket=$folder/a/run/weave.sock

step "not permitted"
chmod 0755 "$folder" "$folder/a"
group=$(getent group weave | awk -F: "{ print \$3 }" || true)
refuse "another user" setpriv --reuid 65534 --regid 65534 --clear-groups "$weavectl" --run-dir "$folder/a/run" status
one_sentence weavectl
says "no permission to use $socket: run as root"
if [[ -n $group ]]; then
    says "or join the group weave"
    expect "a member of the group" setpriv --reuid 65534 --regid 65534 --groups "$group" "$weavectl" --run-dir "$folder/a/run" status
else
    grep -q "join the group" "$folder/last.out" && fail "it names a group that does not exist"
fi

step "an example against the public library"
[[ -x $client ]] || skip "examples/client is not built in $build"
expect "with a daemon" "$client" "$socket"
says "a runs weaved"
status_of() { "$@" >"$folder/last.out" 2>&1 && echo 0 || echo $?; }
[[ $(status_of "$client" "$folder/nowhere.sock") -eq 3 ]] || fail "without a daemon its exit status is not 3"
says "weaved is not running"

step "a daemon that hangs"
kill -STOP "$(router_pid a)"
refuse "weavectl" timeout 20 "$weavectl" --run-dir "$folder/a/run" status
one_sentence weavectl
says "did not answer"
kill -CONT "$(router_pid a)"
expect "it goes on" eventually 5 ctl a status
