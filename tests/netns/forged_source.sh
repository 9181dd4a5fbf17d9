#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A pod on b pretends to be the pods of a and of c, by IPv4, IPv6, ARP, neighbour discovery and MAC: nothing of it is
# delivered, and each is counted where it is noticed.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin python3 tcpdump

forge=$repository/tests/netns/tools/forge.py
number=20 # frames of each kind
host a 1
host b 2
host c 3
start a
start b "$(address a)"
start c "$(address a)"
for one in "a p1 1" "b p2 2" "c p3 3"; do
    read -r on name last <<<"$one"
    pod "$on" "$name" "10.32.0.$last/12" "fd32::$last/64"
done
for one in "p1 10.32.0.2" "p1 fd32::2" "p1 10.32.0.3" "p1 fd32::3" "p2 10.32.0.3" "p2 fd32::3"; do
    # shellcheck disable=SC2086
    expect "pings pass: $one" eventually 5 pings $one
done
mac_of() { in_pod "$1" cat /sys/class/net/eth0/address; }
mac1=$(mac_of p1) mac3=$(mac_of p3)
neighbour() { in_pod "$1" ip neighbour show "$2" | grep -o 'lladdr [0-9a-f:]*'; }
declare -A capture=()
for name in p1 p3; do
    ip netns exec "$prefix-$name" tcpdump --immediate-mode -Z root -i eth0 -s 0 -U -w "$folder/$name.pcap" >"$folder/$name.tcpdump" 2>&1 &
    capture[$name]=$!
    background+=($!)
    eventually 5 grep -q listening "$folder/$name.tcpdump"
done
meanwhile_begin p1 10.32.0.3 a c

# forged WHERE COUNTER WHAT KIND ARGUMENTS...: p2 sends frames of this kind; each is counted on host WHERE
forged() {
    local where=$1 counter=$2 what=$3 before
    before=$(count "$where" "$counter")
    in_pod p2 python3 "$forge" "$4" "$number" "forged $what." "${@:5}" || fail "forge.py $*"
    expect "$what: counted on $where as $counter" eventually 3 counted "$where" "$counter" $((before + number))
}

step "frames that may pass"
in_pod p2 python3 "$forge" udp "$number" "honest v4." source=10.32.0.2 to=10.32.0.1 to_mac="$mac1"
in_pod p2 python3 "$forge" udp "$number" "honest v6." source=fd32::2 to=fd32::1 to_mac="$mac1"
in_pod p2 python3 "$forge" arp "$number" "honest arp." source=10.32.0.2
in_pod p2 python3 "$forge" advert "$number" "honest advert." source=fd32::2
in_pod p2 python3 "$forge" udp "$number" "honest vlan." source=10.32.0.2 to=10.32.0.1 to_mac="$mac1" vlan=0
for what in "honest v4." "honest v6." "honest arp." "honest advert." "honest vlan."; do
    passed() { [[ $(occurrences "$what" "$folder/p1.pcap") -ge $number ]]; } # answers quote it
    expect "$what" eventually 3 passed
done

step "addresses of others"
to=(to_mac="$mac1")
forged a source_not_owned "v4 of c" udp source=10.32.0.3 to=10.32.0.1 "${to[@]}"
forged a source_not_owned "v4 of a" udp source=10.32.0.1 to=10.32.0.1 "${to[@]}"
forged a source_not_owned "v6 of c" udp source=fd32::3 to=fd32::1 "${to[@]}"
forged a source_not_owned "v6 of a" udp source=fd32::1 to=fd32::1 "${to[@]}"
forged a source_not_owned "v4 of c in a priority tag" udp source=10.32.0.3 to=10.32.0.1 vlan=0 "${to[@]}"
forged a source_not_owned "v6 of c in a priority tag" udp source=fd32::3 to=fd32::1 vlan=0 "${to[@]}"
forged a source_not_owned "v4 of c in VLAN 5" udp source=10.32.0.3 to=10.32.0.1 vlan=5 "${to[@]}"

step "neighbours of others"
forged a source_not_owned "arp of c" arp source=10.32.0.3
forged a source_not_owned "advert of c" advert source=fd32::3
forged c source_not_owned "arp of a" arp source=10.32.0.1
forged c source_not_owned "advert of a" advert source=fd32::1
forged a source_not_owned "arp of c in a priority tag" arp source=10.32.0.3 vlan=0
forged a source_not_owned "target of c" advert source=fd32::2 target=fd32::3
forged a source_not_owned "target of c by a local source" advert source=fe80::2 target=fd32::3
forged a source_not_owned "hardware address of nobody" advert source=fd32::2 link=02:00:00:00:00:99
forged a source_not_owned "hardware address of c in arp" arp source=10.32.0.2 link="$mac3"
forged b malformed_frame "v4 of c in v6" udp source=::ffff:10.32.0.3 to=fd32::1 "${to[@]}"

step "an address that the pod gave itself"
in_pod p2 ip address add 10.32.0.77/12 dev eth0
in_pod p2 ip address add fd32::77/64 dev eth0 nodad
sleep 0.5 # an announcement would have come by now
forged a source_not_owned "v4 of its own making" udp source=10.32.0.77 to=10.32.0.1 "${to[@]}"
forged a source_not_owned "v6 of its own making" udp source=fd32::77 to=fd32::1 "${to[@]}"
forged a source_not_owned "arp of its own making" arp source=10.32.0.77
refuse "it is not listed" sh -c "'$weavectl' --run-dir '$folder/b/run' status attachments | grep 10.32.0.77"
# shellcheck disable=SC2046
restart_b() { in_host b "$launch" restart $(folders b); }
expect "a restart" restart_b
expect "the pod is reached" eventually 8 pings p1 10.32.0.2
forged a source_not_owned "v4 of its own making after a restart" udp source=10.32.0.77 to=10.32.0.1 "${to[@]}"
refuse "it is still not listed" sh -c "'$weavectl' --run-dir '$folder/b/run' status attachments | grep 10.32.0.77"
expect "another pod may have the address" pod c p4 10.32.0.77/12

step "MAC addresses of others"
forged b source_not_attached "mac of c" udp mac="$mac3" source=10.32.0.2
forged b source_not_attached "mac of a" udp mac="$mac1" source=10.32.0.2
forged a source_not_owned "mac of nobody" udp mac=02:00:00:00:00:99 source=10.32.0.2

step "what came of it"
meanwhile_end 32
for name in p1 p3; do
    kill -TERM "${capture[$name]}"
    wait "${capture[$name]}" || true
    found=$(occurrences forged "$folder/$name.pcap")
    [[ $found -eq 0 ]] || fail "$found forged frames came to $name: $(grep -a -o 'forged [a-zA-Z0-9 ]*\.' "$folder/$name.pcap" | sort | uniq -c)"
    echo "ok: none of them came to $name"
done
[[ $(neighbour p1 10.32.0.3) == "lladdr $mac3" ]] || fail "p1 believes that 10.32.0.3 is at $(neighbour p1 10.32.0.3)"
[[ $(neighbour p1 fd32::3) == "lladdr $mac3" ]] || fail "p1 believes that fd32::3 is at $(neighbour p1 fd32::3)"
echo "ok: no neighbour was believed to be elsewhere"
