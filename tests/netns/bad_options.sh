#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Options and arguments that cannot be meant: weaved, weave-launch and weavectl each say one sentence that names the word,
# end with an error, and nothing is changed, neither on a fresh host nor on one that runs.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping

weaved=$build/src/daemon/weaved
host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
meanwhile_begin p1 10.32.0.2 a b

# Everything about a host that an order could have changed.
look() {
    local folder_of=$folder/$1
    ip -n "$prefix-$1" -o address show | awk '{ print $2, $3, $4 }'
    ip -n "$prefix-$1" -o link show | sed 's, <.*,,'
    ip netns pids "$prefix-$1"
    # What was given for an interface that could not be made rests: not who holds what.
    [[ ! -d $folder_of ]] || (cd "$folder_of" && find . -type f ! -name weaved.log ! -name records ! -name launch.lock ! -name ipam ! -name ipam.tmp -exec sha256sum {} +)
    [[ ! -S $folder_of/run/weave.sock ]] || ctl "$1" ipam status | grep '^held'
    [[ ! -S $folder_of/run/weave.sock ]] || { ctl "$1" status targets | awk '{ print $1 }' && ctl "$1" status attachments; }
}

# wrong PROGRAM WORD COMMAND...: one sentence of the program with that word in it, and an error
wrong() {
    local program=$1 word=$2
    shift 2
    look a >"$folder/a.before"
    look x >"$folder/x.before"
    refuse "$program refuses $word" timeout -k 1 10 "$@"
    one_sentence "$program"
    cat "$folder/last.out"
    grep -q -F -e "$word" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not name '$word'"; }
    look a | diff "$folder/a.before" - || fail "something was changed on a"
    look x | diff "$folder/x.before" - || fail "something was changed on x"
}

in_x=(ip netns exec "$prefix-x")
at_x=(--run-dir "$folder/x/run" --state-dir "$folder/x/state")
in_a=(ip netns exec "$prefix-a")
at_a=(--run-dir "$folder/a/run" --state-dir "$folder/a/state")

# What weaved refuses: the word, then the options. Words end at blanks.
bad=(
    "--nonsense --nonsense=1"
    "--port --port=abc"
    "--port --port=0"
    "70000 --port=70000"
    "-1 --http-port=-1"
    "--mtu --mtu=100"
    "65000 --mtu=99999"
    "--lanes --lanes=65"
    "-1 --lanes=-1"
    "nowhere --listen=nowhere"
    "10.0.0.1:1 --listen=10.0.0.1:1"
    "::::1 --advertise=::::1"
    "10.32.0.0 --ipalloc-range=10.32.0.0"
    "10.32.0.0/33 --ipalloc-range=10.32.0.0/33"
    "10.32.0.0/31 --ipalloc-range=10.32.0.0/31"
    "small --ipalloc-range=10.32.0.0/31"
    "large --ipalloc-range=10.0.0.0/7"
    "averyverylongname --bridge=averyverylongname"
    "a/b --tap=a/b"
    "same --bridge=same --tap=same"
    "loud --log-level=loud"
    "gnutls --cipher-provider=gnutls"
    "--name --name=one --name=two"
    "1.2.3.4:99999 1.2.3.4:99999"
    "host:port host:port"
)
step "weaved"
for line in "${bad[@]}"; do
    read -r -a words <<<"$line"
    wrong weaved "${words[0]}" "${in_x[@]}" "$weaved" "${at_x[@]}" "${words[@]:1}"
done
wrong weaved "--name" "${in_x[@]}" "$weaved" "${at_x[@]}" --name
wrong weaved "''" "${in_x[@]}" "$weaved" "${at_x[@]}" ""
wrong weaved "'a b'" "${in_x[@]}" "$weaved" "${at_x[@]}" "a b"
wrong weaved "--port" env WEAVE_PORT=abc "${in_x[@]}" "$weaved" "${at_x[@]}"
wrong weaved "--strict-names = maybe" env WEAVE_STRICT_NAMES=maybe "${in_x[@]}" "$weaved" "${at_x[@]}"

step "weave-launch"
for line in "${bad[@]}"; do
    read -r -a words <<<"$line"
    wrong weaved "${words[0]}" "${in_x[@]}" "$launch" start "${at_x[@]}" "${words[@]:1}"
done
wrong weave-launch "--mtu" "${in_x[@]}" "$launch" start "${at_x[@]}" --mtu
wrong weave-launch "-z" "${in_x[@]}" "$launch" start "${at_x[@]}" -z
wrong weave-launch "frobnicate" "${in_x[@]}" "$launch" frobnicate "${at_x[@]}"
wrong weave-launch "/nonexistent" "${in_x[@]}" "$launch" start "${at_x[@]}" --token-file /nonexistent
for command in stop status reset token; do
    wrong weave-launch "surplus" "${in_a[@]}" "$launch" "$command" "${at_a[@]}" surplus
done
for command in start restart stop reset; do
    wrong weaved "--nonsense" "${in_a[@]}" "$launch" "$command" "${at_a[@]}" --nonsense=1
done

step "weavectl"
ctl_a=("${in_a[@]}" "$weavectl" --run-dir "$folder/a/run")
wrong weavectl "--nonsense" "${ctl_a[@]}" status --nonsense
wrong weavectl "nothing" "${ctl_a[@]}" status nothing
wrong weavectl "xml" "${ctl_a[@]}" -o xml status
wrong weavectl "PEER" "${ctl_a[@]}" connect
wrong weavectl "1.2.3.4" "${ctl_a[@]}" forget 1.2.3.4
wrong weavectl "nosuchpod" "${ctl_a[@]}" attach nosuchpod 10.32.0.9/12
wrong weavectl "10.32.0.9" "${ctl_a[@]}" attach "$prefix-p1" 10.32.0.9
wrong weavectl "10.32.0.9/33" "${ctl_a[@]}" expose 10.32.0.9/33
wrong weavectl "10.32.0.2" "${ctl_a[@]}" attach "$prefix-x" 10.32.0.2/12
wrong weavectl "averyverylongname" "${ctl_a[@]}" attach "$prefix-x" --ifname averyverylongname 10.32.0.9/12
wrong weavectl "'averyverylongname' is no name" "${ctl_a[@]}" attach "$prefix-x" --ifname averyverylongname
# What no interface of the pod network can have, and what a host has already.
for address in 224.0.0.1/4 0.0.0.0/0 127.0.0.5/8 255.255.255.255/32 10.32.0.0/12 10.47.255.255/12 169.254.3.4/16 fe80::9/64 \
    ff02::1/64 fd32::/64; do
    wrong weavectl "$address is " "${ctl_a[@]}" expose "$address"
    wrong weavectl "write an address" "${ctl_a[@]}" attach "$prefix-x" "$address"
done
for address in 192.168.77.1/24 192.168.77.2/24 fd77::2/64 10.32.0.2/12; do
    wrong weavectl "${address%/*} is in use on" "${ctl_a[@]}" expose "$address"
    wrong weavectl "choose another address" "${ctl_a[@]}" attach "$prefix-x" "$address"
done
mapfile -t many < <(seq -f 'fd32::1:%g/64' 1000 2999)
wrong weavectl "more addresses than fit one record: detach some" "${ctl_a[@]}" attach "$prefix-x" "${many[@]}"
wrong weavectl "more addresses than fit one record: detach some" "${ctl_a[@]}" expose "${many[@]}"
# Of several the last cannot be: none is there then.
in_a_host() { ip -n "$prefix-a" "$@"; }
in_a_host link add dev other type bridge
in_a_host address add 10.34.0.9/16 dev other
wrong weavectl "10.34.0.9" "${ctl_a[@]}" expose 10.32.0.50/12 10.34.0.9/16
in_a_host link delete dev other
wrong weavectl "name with --ifname" "${ctl_a[@]}" attach "$prefix-x" 10.32.0.9/12
wrong weavectl "not running" "${in_x[@]}" "$weavectl" --run-dir "$folder/x/run" status
meanwhile_end 32
