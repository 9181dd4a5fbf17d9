#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A pod on b pretends to be the pods of a and of c, by IPv4, IPv6, ARP, neighbour discovery and MAC, and so does a guest on
# b's bridge whom no port's rules hold back: nothing of it is delivered, and each is counted where it is noticed.
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

# forged WHO WHERE COUNTER WHAT KIND ARGUMENTS...: sends frames of this kind; each is counted on host WHERE
forged() {
    local who=$1 where=$2 counter=$3 what=$4 before
    before=$(count "$where" "$counter")
    in_pod "$who" python3 "$forge" "$5" "$number" "forged $what." "${@:6}" || fail "forge.py $*"
    expect "$what by $who: counted on $where as $counter" eventually 3 counted "$where" "$counter" $((before + number))
}

# both PORT-COUNTER WHERE COUNTER WHAT KIND ARGUMENTS...: by p2, noticed at its port, and by the guest, noticed on WHERE
both() {
    forged p2 b "$1" "${@:4}"
    forged g2 "${@:2}"
}

step "frames that may pass"
# A MAC that nobody has is learned as b's, and is then nobody else's.
guest=02:00:00:00:00:99
guest b g2 $guest
own_guest() {
    in_pod g2 python3 "$forge" udp 1 "honest guest." source=10.32.0.2 to=10.32.0.1 to_mac="$mac1"
    [[ $(occurrences "honest guest." "$folder/p1.pcap") -ge 1 ]]
}
expect "a MAC of nobody may be used by a guest" eventually 5 own_guest
sleep 1 # c has heard it, too
for who in p2 g2; do
    in_pod $who python3 "$forge" udp "$number" "honest v4 $who." source=10.32.0.2 to=10.32.0.1 to_mac="$mac1"
    in_pod $who python3 "$forge" udp "$number" "honest v6 $who." source=fd32::2 to=fd32::1 to_mac="$mac1"
    in_pod $who python3 "$forge" udp "$number" "honest vlan $who." source=10.32.0.2 to=10.32.0.1 to_mac="$mac1" vlan=0
done
in_pod p2 python3 "$forge" arp "$number" "honest arp." source=10.32.0.2
in_pod p2 python3 "$forge" advert "$number" "honest advert." source=fd32::2
for what in "honest "{v4,v6,vlan}" "{p2,g2}"." "honest arp." "honest advert."; do
    passed() { [[ $(occurrences "$what" "$folder/p1.pcap") -ge $number ]]; } # answers quote it
    expect "$what" eventually 3 passed
done

step "addresses of others"
to=(to_mac="$mac1")
both spoofed_source a source_not_owned "v4 of c" udp source=10.32.0.3 to=10.32.0.1 "${to[@]}"
both spoofed_source a source_not_owned "v4 of a" udp source=10.32.0.1 to=10.32.0.1 "${to[@]}"
both spoofed_source a source_not_owned "v6 of c" udp source=fd32::3 to=fd32::1 "${to[@]}"
both spoofed_source a source_not_owned "v6 of a" udp source=fd32::1 to=fd32::1 "${to[@]}"
both spoofed_source a source_not_owned "v4 of c in a priority tag" udp source=10.32.0.3 to=10.32.0.1 vlan=0 "${to[@]}"
both spoofed_source a source_not_owned "v6 of c in a priority tag" udp source=fd32::3 to=fd32::1 vlan=0 "${to[@]}"
both spoofed_source a source_not_owned "v4 of c in VLAN 5" udp source=10.32.0.3 to=10.32.0.1 vlan=5 "${to[@]}"

step "neighbours of others"
both spoofed_arp a source_not_owned "arp of c" arp source=10.32.0.3
both spoofed_arp a source_not_owned "advert of c" advert source=fd32::3
both spoofed_arp c source_not_owned "arp of a" arp source=10.32.0.1
both spoofed_arp c source_not_owned "advert of a" advert source=fd32::1
both spoofed_arp a source_not_owned "arp of c in a priority tag" arp source=10.32.0.3 vlan=0
both spoofed_arp a source_not_owned "target of c" advert source=fd32::2 target=fd32::3
both spoofed_arp a source_not_owned "target of c by a local source" advert source=fe80::2 target=fd32::3
# Its port lets a pod tell a wrong MAC for its own address, others do not believe it.
for who in p2 g2; do
    forged $who a source_not_owned "hardware address of nobody" advert source=fd32::2 link=02:00:00:00:00:98
done
both spoofed_arp a source_not_owned "hardware address of c in arp" arp source=10.32.0.2 link="$mac3"
both spoofed_source b malformed_frame "v4 of c in v6" udp source=::ffff:10.32.0.3 to=fd32::1 "${to[@]}"

step "an address that the pod gave itself"
in_pod p2 ip address add 10.32.0.77/12 dev eth0
in_pod p2 ip address add fd32::77/64 dev eth0 nodad
sleep 0.5 # an announcement would have come by now
both spoofed_source a source_not_owned "v4 of its own making" udp source=10.32.0.77 to=10.32.0.1 "${to[@]}"
both spoofed_source a source_not_owned "v6 of its own making" udp source=fd32::77 to=fd32::1 "${to[@]}"
both spoofed_arp a source_not_owned "arp of its own making" arp source=10.32.0.77
refuse "it is not listed" sh -c "'$weavectl' --run-dir '$folder/b/run' status attachments | grep 10.32.0.77"
# shellcheck disable=SC2046
restart_b() { in_host b "$launch" restart $(folders b); }
expect "a restart" restart_b
# On its own host's bridge the guest is believed what it says of others.
in_pod p2 ip neighbour flush all
expect "the pod is reached" eventually 8 pings p1 10.32.0.2
both spoofed_source a source_not_owned "v4 of its own making after a restart" udp source=10.32.0.77 to=10.32.0.1 "${to[@]}"
refuse "it is still not listed" sh -c "'$weavectl' --run-dir '$folder/b/run' status attachments | grep 10.32.0.77"
expect "another pod may have the address" pod c p4 10.32.0.77/12

step "MAC addresses of others"
both spoofed_mac b source_not_attached "mac of c" udp mac="$mac3" source=10.32.0.2
both spoofed_mac b source_not_attached "mac of a" udp mac="$mac1" source=10.32.0.2
forged p4 c spoofed_mac "mac of the guest" udp mac=$guest source=10.32.0.77 to=10.32.0.1 to_mac="$mac1"
guest c g3 $guest
forged g3 c source_not_attached "mac of a guest elsewhere" udp source=10.32.0.3 to=10.32.0.1 to_mac="$mac1"

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
