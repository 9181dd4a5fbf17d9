#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A router on hosts whose packet filter belongs to others: where the forward chain drops, ours is let through or the one who
# drops is named; what others flush comes back; the uplink goes on listening to router advertisements; a reset leaves nothing.
source "$(dirname "$0")/lib.sh"
begin socat iptables ip6tables

host a 1
host b 2
host c 3
host x 4 # the outside: it knows no way to pods
# shellcheck disable=SC2046
on() { in_host "$1" "$launch" "$2" $(folders "$1") "${@:3}"; }
says() { grep -q -e "$1" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say '$1'"; }; }
drop_by_default() {
    in_host "$1" iptables -P FORWARD DROP
    in_host "$1" ip6tables -P FORWARD DROP
}

step "hosts that are no routers yet and drop what is forwarded"
for one in a b; do
    drop_by_default $one
    in_host $one sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
    in_host $one sysctl -qw net.ipv6.conf.eth0.accept_ra=1
done
start a --ipalloc-range6 fd32::/108
start b --ipalloc-range6 fd32::/108 "$(address a)"
grep -q "warning:.* drops" "$folder/a/launch.out" && fail "it warns of a chain that lets us through"

step "connections are followed only where something can leave"
translates() { in_host "$1" nft list table inet weave | matches masquerade; }
for one in a b; do
    translates $one && fail "host $one translates, and is nobody's gateway"
done
expect "an address on the bridge of host b, made by hand" in_host b ip address add 10.32.9.9/12 dev weave
expect "it translates" eventually 3 translates b
in_host b ip address delete 10.32.9.9/12 dev weave

step "pods reach each other"
expect "an address of host a" ctl a expose 10.32.9.1/12 fd32::91/64
expect "it translates" translates a
pod a l1 10.32.1.1/12 fd32::11/64
pod b l2 10.32.1.2/12 fd32::12/64
pod a r1 10.32.2.1/12 fd32::21/64 --mode routed
pod b r2 10.32.2.2/12 fd32::22/64 --mode routed
in_pod l1 ip route replace default via 10.32.9.1
in_pod l1 ip -6 route replace default via fd32::91
for pair in "l1 10.32.1.2" "l1 fd32::12" "r1 10.32.2.2" "r1 fd32::22" "r2 10.32.2.1" "l1 10.32.2.2" "r2 fd32::11"; do
    # shellcheck disable=SC2086
    expect "pings pass: $pair" eventually 10 pings $pair
done

step "our rule is there"
for one in a b; do
    for program in iptables ip6tables; do
        expect "$program on $one jumps to us" \
            sh -c "ip netns exec $prefix-$one $program -S FORWARD | grep -x -e '-A FORWARD -m comment --comment weavemesh -j WEAVE-FORWARD'"
        expect "$program on $one still drops the rest" sh -c "ip netns exec $prefix-$one $program -S FORWARD | grep -x -e '-P FORWARD DROP'"
    done
done

step "the outside sees the host"
# seen_as POD SERVER WHO: whom that server sees
seen_as() {
    local said
    said=$(in_pod "$1" socat -u "TCP:$2,connect-timeout=2" - 2>&1) || true
    echo "$said"
    [[ $said == "$3" ]]
}
for each in TCP4-LISTEN:7001 TCP6-LISTEN:7002,ipv6only=1; do
    # shellcheck disable=SC2016 # the server's
    ip netns exec "$prefix-x" socat "$each,reuseaddr,fork" 'SYSTEM:echo $SOCAT_PEERADDR' 2>>"$folder/x.out" &
    background+=($!)
done
expect "the outside serves" eventually 3 listening x 7002
expect "over IPv4 as well" eventually 3 listening x 7001
v6_of() { printf '[fd77:0000:0000:0000:0000:0000:0000:%04x]' "${host_number[$1]}"; }
masqueraded() {
    expect "$1 is seen as host $2 over IPv4" eventually 5 seen_as "$1" 192.168.77.4:7001 "$(address "$2")"
    expect "$1 is seen as host $2 over IPv6" eventually 5 seen_as "$1" "[fd77::4]:7002" "$(v6_of "$2")"
}
masqueraded r1 a
masqueraded l1 a
masqueraded r2 b

step "the uplink listens to router advertisements as before"
for one in a b; do
    [[ $(in_host $one cat /proc/sys/net/ipv6/conf/eth0/accept_ra) == 2 ]] || fail "accept_ra on $one is not 2"
    [[ $(in_host $one cat /proc/sys/net/ipv6/conf/all/forwarding) == 1 ]] || fail "host $one does not forward"
    # Else the kernel would have forgotten the default route in between.
    grep -o 'event=forwarding_enabled change=.*' "$folder/$one/run/weaved.log" | grep ipv6 >"$folder/order"
    [[ $(sed -n '1s/.*conf.\([a-z0-9]*\).*/\1/p' "$folder/order") == eth0 && $(tail -n 1 "$folder/order") == *conf/all/forwarding* ]] ||
        { cat "$folder/order"; fail "forwarding was turned on before"; }
done
echo "ok: accept_ra became 2 first"

step "another tool flushes the ruleset"
ours() { in_host "$1" nft list tables | grep -x -e "table \(inet\|bridge\|arp\) weave" | sort | tr '\n' ','; }
all="table arp weave,table bridge weave,table inet weave,"
[[ $(ours a) == "$all" ]] || fail "the tables on a are: $(ours a)"
in_host a nft flush ruleset
are_back() { [[ $(ours a) == "$all" ]]; }
expect "our tables are back" eventually 3 are_back
grep -q 'event=firewall_restored' "$folder/a/run/weaved.log" || fail "the log does not tell"
masqueraded r1 a
masqueraded l1 a
drop_by_default a
jumps() { in_host a "$1" -S FORWARD | matches WEAVE-FORWARD; }
for program in iptables ip6tables; do
    expect "$program jumps to us again" eventually 3 jumps $program
done
masqueraded r1 a

step "a chain that drops where no accept of ours would help"
in_host c nft -f - <<'END'
table inet mine {
    chain forward {
        type filter hook forward priority 0; policy drop;
    }
}
END
start c --ipalloc-range6 fd32::/108 "$(address a)"
named="warning:.*table inet mine chain forward drops pods' forwarded traffic: add the rules"
grep -q "^weave-launch: $named" "$folder/c/launch.out" || { cat "$folder/c/launch.out"; fail "weave-launch start does not name it"; }
expect "status" ctl c status
says "$named"
expect "restart" on c restart
says "^weave-launch: $named"
[[ $(grep -c 'event=forward_dropped.*table inet mine' "$folder/c/run/weaved.log") -eq 2 ]] || fail "the log does not tell it once at each start"
in_host c nft add chain inet mine other
sleep 1.5
[[ $(grep -c 'event=forward_dropped.*table inet mine' "$folder/c/run/weaved.log") -eq 2 ]] || fail "the log tells it again"

step "what was wrong at the start is told beside it"
expect "stop" on c stop
printf x >>"$folder/c/state/ipam"
start c --ipalloc-range6 fd32::/108
expect "status" ctl c status
says "ipam was damaged"
says "$named"
[[ $(grep 'warning:' "$folder/last.out" | sed -n 1p) == *"ipam was damaged"* ]] || fail "the notices of the start are not first"

step "a reset leaves nothing"
jumps iptables || fail "there is nothing to remove"
refuse "the rules of a router that runs" in_host a "$build/src/daemon/weaved" --remove-firewall
says "a weaved works on the bridge weave: stop it first"
[[ $(ours a) == "$all" ]] || fail "they are gone"
for one in a c; do
    expect "reset" on $one reset
    [[ -z $(ours $one) ]] || fail "left: $(ours $one)"
    refuse "no jump is left" sh -c "ip netns exec $prefix-$one nft list ruleset | grep -i weave"
done
for program in iptables ip6tables; do
    refuse "$program knows nothing of us" sh -c "ip netns exec $prefix-a $program -S | grep WEAVE"
    expect "$program drops as before" sh -c "ip netns exec $prefix-a $program -S | grep -x -e '-P FORWARD DROP'"
done
expect "others' tables are there" in_host c nft list table inet mine
expect "nothing to remove is no error" in_host a "$build/src/daemon/weaved" --remove-firewall
