#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Targets outlive the router, are replaced and forgotten; names are asked for again and again, and a silent name server
# holds up neither other targets nor the end.
source "$(dirname "$0")/lib.sh"
begin ping

host a 1
host b 2
host c 3
etc=/etc/netns/$prefix-a # "ip netns exec" puts what is in there over /etc
trap 'status=$?; rm -rf "$etc"; set +e; (exit $status); cleanup' EXIT
mkdir -p "$etc"
echo "127.0.0.1 localhost" >"$etc/hosts"
echo "nameserver 127.0.0.1" >"$etc/resolv.conf"
start a
start b
start c

targets() { ctl a status targets | awk 'NR > 1 { print $1 }' | sort | xargs; }
are() { [[ $(targets) == "$*" ]] || { ctl a status targets; return 1; }; }
connected() { ctl a status targets | grep -E "^$1 .*connected +$2 "; }

step "a target outlives a crash"
expect "a connects to b" ctl a connect "$(address b)"
expect "b is connected" eventually 5 connected "$(address b)" b
kill -KILL "$(router_pid a)"
start a
expect "a dials b again" eventually 5 connected "$(address b)" b

step "a target has one spelling"
expect "b once more, with its port" ctl a connect "$(address b):6783"
expect "it is one target" are "$(address b)"
expect "forget" ctl a forget "$(address b):6783"
expect "no target is left" are ""
expect "and back" ctl a connect "$(address b):6783"
expect "b is connected" eventually 5 connected "$(address b)" b

step "targets are replaced and forgotten while the router runs"
expect "c instead" ctl a connect --replace "$(address c)"
expect "only c is a target" are "$(address c)"
expect "c is connected" eventually 5 connected "$(address c)" c
stop a >/dev/null
start a
expect "only c is a target after a restart" are "$(address c)"
expect "c is connected" eventually 5 connected "$(address c)" c
expect "forget" ctl a forget "$(address c)"
expect "no target is left" are ""
refuse "what is no target cannot be forgotten" ctl a forget "$(address c)"

step "a name is resolved again until it leads to somebody"
echo "192.168.77.99 peer.test" >>"$etc/hosts"
expect "connect to a name" ctl a connect peer.test
dialled() { ctl a status connections | grep -F "$1"; }
expect "its address is dialled" eventually 5 dialled 192.168.77.99
printf '127.0.0.1 localhost\n%s peer.test\n' "$(address b)" >"$etc/hosts" # in place: the file is mounted
expect "b has the name now" eventually 15 connected peer.test b
refuse "the address before is dialled no more" dialled 192.168.77.99
expect "another name that leads nowhere yet" ctl a connect later.test
unresolved() { ctl a status targets | grep -E '^later.test .*resolve'; }
expect "status says so" eventually 8 unresolved
expect "forget" ctl a forget PEER.test:6783 later.test
expect "no target is left" are ""

step "a name server that is silent"
in_host b nft -f - <<END
table inet silent {
    chain input {
        type filter hook input priority -10; policy accept;
        udp dport 53 drop
        tcp dport 53 drop
    }
}
END
echo "nameserver $(address b)" >"$etc/resolv.conf"
stop a >/dev/null
start a silent.test
resolving() { ctl a status targets | grep -E '^silent.test .*resolving.the.name'; }
expect "status says what it waits for" eventually 2 resolving
expect "other targets are connected meanwhile" ctl a connect "$(address c)"
expect "c is connected" eventually 3 connected "$(address c)" c
before=${EPOCHREALTIME/./}
stop a >/dev/null
spent=$(((${EPOCHREALTIME/./} - before) / 1000))
[[ $spent -lt 3000 ]] || fail "weaved took $spent ms to stop while a name was being resolved"
echo "ok: stopped after $spent ms"
