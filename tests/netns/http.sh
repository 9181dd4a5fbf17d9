#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# The HTTP pages of a router that works: each says what it should, --metrics-listen serves metrics and health only, and no
# pod gets any of it, whatever address it gives itself and whatever way it takes.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin curl python3 socat

tools=$repository/tests/netns/tools
host a 1
host b 2
host c 3
start a --metrics-listen "[::]:9090"
start b --no-masquerade "$(address a)" # else its pods come as the host itself
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "the first ping passes" eventually 5 pings p1 10.32.0.2

# page WHERE URL [CURL-OPTION...]: its body in $folder/page, its status on stdout
page() { in_host "$1" curl -s -m 10 -g -o "$folder/page" -w '%{http_code}\n' "http://$2" "${@:3}"; }
# gives WHERE STATUS URL [CURL-OPTION...]
gives() {
    local got
    got=$(page "$1" "$3" "${@:4}") || true
    [[ $got == "$2" ]] || { cat "$folder/page"; fail "http://$3 on $1 gives $got instead of $2"; }
    echo "ok: $3 on $1 gives $2"
}
contains() { grep -q -e "$1" "$folder/page" || { cat "$folder/page"; fail "the page does not say '$1'"; }; }
is_json() { python3 -c 'import json, sys; assert json.load(sys.stdin)['"$1"']' <"$folder/page" || fail "no JSON with $1"; }
local_a=127.0.0.1:6784

step "the five pages on 127.0.0.1"
gives a 200 $local_a/healthz
contains '^ok$'
gives a 200 $local_a/readyz
contains '^ok$'
gives a 200 $local_a/status
contains "node id: *[0-9a-f]"
gives a 200 $local_a/status -H "Accept: application/json"
is_json '"name"'
gives a 200 $local_a/report
is_json '"peers"'
grep -q '"b"' "$folder/page" || fail "the report does not know b"
gives a 200 $local_a/metrics
gives a 404 $local_a/nothing
contains "pages here: /healthz /readyz /status /report /metrics"
gives a 405 $local_a/status -X POST
start c 192.168.77.99
gives c 200 $local_a/healthz
gives c 503 $local_a/readyz
contains "none of the targets is connected"
stop c >/dev/null

step "metrics"
metrics() { [[ $(page a $local_a/metrics) == 200 ]] || fail "there is no page of metrics"; }
value() { awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }' "$folder/page" || { echo "there is no $1" >&2; return 1; }; }
at_least() {
    local got
    got=$(value "$1") || fail "there is no $1"
    [[ $got -ge $2 ]] || fail "$1 is $got and not at least $2"
}
between() {
    local got
    got=$(value "$1")
    awk -v x="$got" -v low="$2" -v high="$3" 'BEGIN { exit !(x > low && x < high) }' || fail "$1 is $got, not within $2 to $3"
}
# weavectl and the pages tell the same drops.
mac2=$(in_pod p2 cat /sys/class/net/eth0/address)
metrics
for one in transmit_bytes transmit_packets receive_bytes receive_packets; do
    declare "before_$one=$(value "weave_peer_${one}_total{peer=\"b\"}")"
done
expect "100 pings of 1,000 bytes" pings p1 10.32.0.2 100 -s 1000
in_pod p1 python3 "$tools/forge.py" udp 20 "forged." mac="$mac2" source=10.32.0.1
expect "frames forged by a pod are counted" eventually 3 counted a spoofed_mac 20
guest a g1 02:00:00:00:00:99
in_pod g1 python3 "$tools/forge.py" udp 20 "forged." mac="$mac2" source=10.32.0.1
expect "forged frames are counted" eventually 3 counted a source_not_attached 20
metrics
awk '
    /^# HELP / { if (NF < 4) bad("no text"); help = $3; next }
    /^# TYPE / { if ($3 != help || $4 !~ /^(counter|gauge)$/) bad("a TYPE without its HELP"); typed = $3; next }
    { name = $1; sub(/\{.*/, "", name) }
    name != typed { bad("a sample without HELP and TYPE") }
    typed ~ /_total$/ && $2 !~ /^[0-9]+$/ { bad("no count") }
    $2 !~ /^[0-9][0-9.e+-]*$/ || NF != 2 { bad("no number") }
    seen[$1]++ { bad("a sample twice") }
    function bad(why) { print why ": " $0; failed = 1 }
    END { exit failed }' "$folder/page" || fail "the page is not in Prometheus' format"
echo "ok: every sample has its HELP, its TYPE and a number"
for one in "weave_connections gauge" "weave_peer_transmit_bytes_total counter" "weave_peer_receive_bytes_total counter" \
    "weave_peer_transmit_packets_total counter" "weave_peer_receive_packets_total counter" "weave_drops_total counter" \
    "weave_handshakes_total counter" "weave_rekeys_total counter" "weave_peer_rtt_seconds gauge" \
    "weave_peer_mtu_bytes gauge" "weave_udp_socket_drops_total counter"; do
    contains "^# TYPE $one\$"
done
for one in transmit receive; do
    bytes=before_${one}_bytes packets=before_${one}_packets
    # 1,000 bytes of payload with the headers of ICMP, IP and Ethernet; the path's own traffic is not in it.
    at_least "weave_peer_${one}_packets_total{peer=\"b\"}" $((${!packets} + 100))
    at_least "weave_peer_${one}_bytes_total{peer=\"b\"}" $((${!bytes} + 100 * 1042))
    between "weave_peer_${one}_bytes_total{peer=\"b\"}" "${!bytes}" $((${!bytes} + 150 * 1042))
done
states=$(sed -n 's/^weave_connections{state="\(.*\)"} .*/\1/p' "$folder/page" | sort | xargs)
[[ $states == "connecting established failed retrying self spare waiting" ]] || fail "the states of connections are: $states"
[[ $(value 'weave_connections{state="established"}') -eq 1 ]] || fail "not one connection is established"
[[ $(value 'weave_connections{state="failed"}') -eq 0 ]] || fail "a connection has failed"
dropped() { sed -n "s/^weave_drops_total{\(.*,\)\?reason=\"$1\".*} //p" "$folder/page" | awk '{ sum += $1 } END { print NR ? sum : "none" }'; }
[[ $(dropped source_not_attached) -ge 20 ]] || fail "the page counts $(dropped source_not_attached) forged frames"
[[ $(dropped spoofed_mac) -ge 20 ]] || fail "the page counts $(dropped spoofed_mac) frames forged by a pod"
[[ $(dropped bad_tag) == 0 ]] || fail "records were altered"
at_least weave_handshakes_total 1
between 'weave_peer_rtt_seconds{peer="b"}' 0 1
between 'weave_peer_mtu_bytes{peer="b"}' 1279 1501
at_least weave_rekeys_total 0
drops=$(value weave_udp_socket_drops_total)
echo "ok: the values fit what was sent"

step "--metrics-listen: metrics and health only"
for at in 192.168.77.1:9090 "[fd77::1]:9090"; do
    for one in metrics healthz readyz; do
        gives b 200 "$at/$one"
    done
    for one in status report; do
        gives b 404 "$at/$one"
    done
    contains "pages here: /healthz /readyz /metrics"
done
refuse "127.0.0.1:6784 is not for other hosts" page b 192.168.77.1:6784/healthz

step "pods"
expect "expose" ctl a expose 10.32.1.1/12 fd32::101/64 192.168.50.1/24
expect "expose" ctl b expose 10.32.1.2/12
in_pod p1 ip route add 192.168.77.0/24 via 10.32.1.1
in_pod p1 ip route add fd77::/64 via fd32::101
# A guest on the bridge uses whatever address it likes: no port's rules hold it back.
in_pod g1 ip address add 192.168.50.99/24 dev eth0
in_pod g1 ip address add fd32::99/64 dev eth0 nodad
in_pod g1 ip route add 192.168.77.0/24 via 192.168.50.1
in_pod g1 ip route add fd77::/64 via fd32::101
# p2 comes by way of its host and the underlay, and back.
in_host b sysctl -qw net.ipv4.ip_forward=1
in_pod p2 ip route add 192.168.77.0/24 via 10.32.1.2
in_host a ip route add 10.32.0.2 via "$(address b)"
# With route_localnet a host takes packets for 127.0.0.1 from anywhere, and so does a pod that wants to.
for name in a p1 g1; do
    in_host "$name" sysctl -qw net.ipv4.conf.all.route_localnet=1
done
in_pod p1 ip route add 127.0.0.1 via 10.32.1.1 dev eth0 table 100
in_pod g1 ip route add 127.0.0.1 via 192.168.50.1 dev eth0 table 100
for name in p1 g1; do
    in_pod $name ip rule add pref 1 to 127.0.0.1 lookup 100
    in_pod $name ip rule add pref 2 lookup local
    in_pod $name ip rule delete pref 0
done
# What answers on other ports shows that the ways are there.
control() {
    ip netns exec "$prefix-a" socat "$1,fork,reuseaddr" SYSTEM:'echo here' 2>/dev/null &
    background+=($!)
}
control TCP6-LISTEN:9091,ipv6only=0
control TCP4-LISTEN:9092,bind=127.0.0.1
eventually 3 listening a 9091
eventually 3 listening a 9092

# closed POD SOURCE ADDRESS CONTROL PORT...: the control's port answers the pod; none of these may, which takes a while to
# show and is waited for below
closed() {
    local name=$1 from=$2 to=$3 control=$4 port
    answers() { in_pod "$name" socat -T 10 - "TCP:$to:$control,bind=$from,connect-timeout=5" </dev/null | matches here; }
    expect "$name reaches $to from $from" eventually 10 answers
    for port in "${@:5}"; do
        in_pod "$name" curl -s -g -m 15 --interface "${from//[][]/}" "http://$to:$port/healthz" >/dev/null 2>&1 &
        tries[$!]="$name, as $from, at $to:$port"
    done
}
declare -A tries=()
closed p1 10.32.0.1 10.32.1.1 9091 9090 6784
closed p1 "[fd32::1]" "[fd32::101]" 9091 9090
closed g1 "[fd32::99]" "[fd32::101]" 9091 9090
closed g1 192.168.50.99 192.168.50.1 9091 9090 6784
closed p1 10.32.0.1 192.168.77.1 9091 9090 6784
closed g1 192.168.50.99 192.168.77.1 9091 9090
closed g1 "[fd32::99]" "[fd77::1]" 9091 9090
closed p2 10.32.0.2 192.168.77.1 9091 9090
in_host a ip route delete 10.32.0.2
closed p2 10.32.0.2 10.32.1.1 9091 9090
closed p1 10.32.0.1 127.0.0.1 9092 6784 9090
closed g1 192.168.50.99 127.0.0.1 9092 6784 9090
for pid in "${!tries[@]}"; do
    if wait "$pid"; then
        fail "a pod gets an answer: ${tries[$pid]}"
    fi
    echo "ok: no answer for ${tries[$pid]}"
done
for one in status metrics; do
    gives a 200 "$local_a/$one"
done
gives b 200 192.168.77.1:9090/metrics

step "what the sockets drop"
kill -STOP "$(router_pid a)"
in_host b python3 -c '
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(60000):
    udp.sendto(bytes(1400), ("192.168.77.1", 6783))'
kill -CONT "$(router_pid a)"
more_socket_drops() { metrics && at_least weave_udp_socket_drops_total $((drops + 1)); }
expect "what the sockets dropped is counted" eventually 5 more_socket_drops
