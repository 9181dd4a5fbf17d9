# shellcheck shell=bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
#
# Hosts and pods in network namespaces, for the tests of this folder. Source it; everything made here is removed when the
# script ends, however it ends.
#
#   host a 1                 a host "a" on the underlay, 192.168.77.1 and fd77::1 on its eth0
#   start a [weaved's options] [PEER...]     weaved on it, through weave-launch
#   pod a p1 10.32.0.1/12 fd32::1/64         a pod "p1" attached to host a
#   guest a g1 02:00:00:00:00:99             an interface on host a's bridge that nobody attached, eth0 in "g1"
#   in_host a COMMAND..., in_pod p1 COMMAND...
#   ctl a status             weavectl on host a
#   cut a c, heal a c        no packet passes between two hosts of the underlay
#   ... | matches PATTERN   as grep -q
#   eventually 5 COMMAND...  until it succeeds, at most that many seconds
#   expect "what" COMMAND... fails the test unless the command succeeds
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${WEAVE_BUILD:-$repository/build}
launch=$repository/packaging/weave-launch
weavectl=$build/src/cli/weavectl
export WEAVE_BUILD=$build
# All of a story passes by AF_XDP then: what sparse flows send would keep to the kernel's sockets.
[[ ${WEAVE_FAST_PATH:-} != af_xdp ]] || export WEAVE_NO_SPARSE_LANES=${WEAVE_NO_SPARSE_LANES:-true}

prefix=wm$$             # of every namespace of this run
underlay=${prefix}-wire # the namespace with the switch
declare -A host_number=()
background=() # processes of ours to end

skip() {
    echo "skipped: $*"
    exit 77
}

begin() {
    [[ $(id -u) -eq 0 ]] || skip "needs root"
    [[ -x $build/src/daemon/weaved && -x $weavectl ]] || skip "weaved and weavectl are not built in $build"
    local tool
    for tool in ip nft ping "$@"; do
        command -v "$tool" >/dev/null || skip "the program $tool is missing"
    done
    folder=$(mktemp -d "/tmp/weavemesh-test.XXXXXX")
    # In a build with sanitizers what they report is kept here, and fails the test whatever else it found.
    # Memory that was freed is held back for a while there: a little of it, as stories look at the size.
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$folder/sanitizer:quarantine_size_mb=8
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$folder/sanitizer
    export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$folder/sanitizer
    said_to=$(readlink "/proc/$$/fd/1")
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    ip netns add "$underlay"
    ip -n "$underlay" link add lan type bridge
    ip -n "$underlay" link set lan up
}

cleanup() {
    local status=$? name pid fd
    trap - EXIT
    trap '' INT TERM # whoever ends a test may tell it twice
    set +e
    # Bash may have ended this within a command whose output goes to a file (set -u): the shell keeps its own meanwhile.
    for fd in /proc/$$/fd/*; do
        [[ $(readlink "$fd") != "$said_to" ]] || { exec >&"${fd##*/}" 2>&1 && break; }
    done
    [[ $status -eq 0 || $status -eq 77 ]] || show_logs
    for pid in "${background[@]}"; do
        kill "$pid" 2>/dev/null
    done
    for name in "${!host_number[@]}"; do
        stop "$name" >/dev/null 2>&1
    done
    if compgen -G "$folder/sanitizer.*" >/dev/null; then
        echo "FAILED: a sanitizer reported"
        cat "$folder"/sanitizer.*
        status=1
    fi
    if [[ $status -eq 0 && ${WEAVE_FAST_PATH:-} == af_xdp ]] && ! grep -qrs 'event=fast_path .*path="af_xdp' "$folder"; then
        echo "FAILED: no host took the fast path"
        status=1
    fi
    before_cleanup
    while read -r name _; do
        [[ $name == "$prefix"-* ]] || continue
        # Whatever still runs there, pods' programs above all, was started by this test.
        ip netns pids "$name" | xargs -r kill -KILL
        ip netns delete "$name"
    done < <(ip netns list)
    wait
    rm -rf "$folder"
    exit "$status"
}

# For files that source this one and make more than is removed here; the hosts are still there.
before_cleanup() { :; }

show_logs() {
    local name
    if [[ -s $folder/try.out ]]; then
        echo "---- what was tried last"
        cat "$folder/try.out"
    fi
    for name in "${!host_number[@]}"; do
        [[ -e $folder/$name/run/weaved.log ]] || continue
        echo "---- host $name: the end of weaved.log"
        tail -n 15 "$folder/$name/run/weaved.log"
        ctl "$name" status
        ctl "$name" status peers
        ctl "$name" status drops | awk '$1 != 0'
    done 2>&1
}

# ---- Hosts and pods --------------------------------------------------------------------------------------------------

host() {
    local name=$1 number=$2 mtu=${3:-1500}
    host_number[$name]=$number
    mkdir -p "$folder/$name"
    ip netns add "$prefix-$name"
    ip -n "$prefix-$name" link set lo up
    ip link add eth0 mtu "$mtu" netns "$prefix-$name" type veth peer name "to-$name" mtu "$mtu" netns "$underlay"
    ip -n "$underlay" link set "to-$name" master lan up
    [[ ${WEAVE_TEST_UNDERLAY:-both} == v6 ]] || ip -n "$prefix-$name" address add "192.168.77.$number/24" dev eth0
    [[ ${WEAVE_TEST_UNDERLAY:-both} == v4 ]] || ip -n "$prefix-$name" address add "fd77::$number/64" dev eth0 nodad
    ip -n "$prefix-$name" link set eth0 up
}

# As grep -q, but it reads to the end: else who writes may be ended by a broken pipe, which counts as a failure here.
matches() { grep "$@" >/dev/null; }

in_host() { ip netns exec "$prefix-$1" "${@:2}"; }
in_pod() { in_host "$@"; }
folders() { echo "--run-dir $folder/$1/run --state-dir $folder/$1/state"; }
address() { echo "192.168.77.${host_number[$1]}"; }
ctl() { in_host "$1" "$weavectl" --run-dir "$folder/$1/run" "${@:2}"; }

# One secret for all hosts, unless the test put a cluster file of its own into place.
secret() {
    mkdir -p "$folder/$1/state"
    [[ -e $folder/token ]] || (umask 077 && "$weavectl" genkey >"$folder/token")
    [[ -e $folder/$1/state/cluster.json ]] || install -m 0600 "$folder/token" "$folder/$1/state/cluster.json"
}

start() {
    secret "$1"
    # shellcheck disable=SC2046 # two options and their values
    in_host "$1" "$launch" start $(folders "$1") --name "$1" "${@:2}" >"$folder/$1/launch.out" 2>&1 ||
        { cat "$folder/$1/launch.out"; fail "weave-launch start on host $1"; }
}

# shellcheck disable=SC2046
stop() { in_host "$1" "$launch" stop $(folders "$1"); }
# shellcheck disable=SC2046
restart() { in_host "$1" "$launch" restart $(folders "$1") "${@:2}"; }
router_pid() { cat "$folder/$1/run/weaved.pid"; }

pod() {
    local on=$1 name=$2
    shift 2
    ip netns add "$prefix-$name"
    ip -n "$prefix-$name" link set lo up
    in_host "$name" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 2>/dev/null || true
    ctl "$on" attach "/run/netns/$prefix-$name" "$@" >/dev/null || fail "weavectl attach of pod $name"
}

# What it sends passes no rules of a pod's port.
guest() {
    local on=$1 name=$2 mac=$3
    ip netns add "$prefix-$name"
    ip -n "$prefix-$on" link add "guest-$name" type veth peer name eth0 address "$mac" netns "$prefix-$name"
    ip -n "$prefix-$on" link set "guest-$name" master weave up
    in_host "$name" sysctl -qw net.ipv6.conf.eth0.accept_dad=0
    ip -n "$prefix-$name" link set eth0 up
}

# Hosts a, b and c with a pod each, p1, p2 and p3, that reach each other, and host x, on which nothing runs.
three_hosts_and_a_stranger() {
    local one
    for one in "a 1" "b 2" "c 3" "x 4"; do
        # shellcheck disable=SC2086
        host $one
    done
    start a
    start b "$(address a)"
    start c "$(address a)"
    pod a p1 10.32.0.1/12
    pod b p2 10.32.0.2/12
    pod c p3 10.32.0.3/12
    for one in "p1 10.32.0.3" "p2 10.32.0.3" "p2 10.32.0.1"; do
        # shellcheck disable=SC2086
        expect "pings pass: $one" eventually 5 pings $one
    done
}

# nothing passes between hosts $1 and $2, in either direction
cut() {
    local pair
    for pair in "$1 $2" "$2 $1"; do
        # shellcheck disable=SC2086
        cut_one_way $pair
    done
}

# nothing from host $2 arrives at $1: on the wire, as hosts may have ways past their own packet filters
cut_one_way() {
    in_host wire nft -f - <<END
table netdev cut-$1-$2 {
    chain from {
        type filter hook ingress device to-$2 priority 0; policy accept;
        ip daddr 192.168.77.${host_number[$1]} drop
        ip6 daddr fd77::${host_number[$1]} drop
    }
}
END
}

heal() {
    in_host wire nft delete table netdev "cut-$1-$2"
    in_host wire nft delete table netdev "cut-$2-$1"
}

# ---- Saying and waiting ----------------------------------------------------------------------------------------------

step() { echo "== $*"; }

fail() {
    echo "FAILED: $*"
    exit 1
}

expect() {
    local what=$1
    shift
    "$@" >"$folder/last.out" 2>&1 || { cat "$folder/last.out"; fail "$what"; }
    echo "ok: $what"
}

refuse() {
    local what=$1
    shift
    if "$@" >"$folder/last.out" 2>&1; then
        cat "$folder/last.out"
        fail "$what"
    fi
    echo "ok: $what"
}

eventually() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >"$folder/try.out" 2>&1; do
        [[ ${EPOCHREALTIME/./} -lt $end ]] || { cat "$folder/try.out"; return 1; }
        sleep 0.05
    done
}

# pings POD ADDRESS [COUNT [PING-OPTION...]]: each is answered (ping itself is content with one answer)
pings() {
    local count=${3:-1} said
    said=$(in_pod "$1" ping -n -q -c "$count" -i 0.05 -W 1 "${@:4}" "$2" 2>&1) || true
    echo "$said"
    grep -q "^$count packets transmitted, $count received" <<<"$said"
}

# Ends with this test.
in_background() {
    "$@" &
    background+=($!)
}

# server POD COMMAND...: in the background, its output in $folder/POD.out
server() {
    local name=$1
    shift
    ip netns exec "$prefix-$name" "$@" >"$folder/$name.out" 2>&1 &
    background+=($!)
}

# Gbit/s of a TCP transfer between pods; the server side runs iperf3 -s -1.
transfer() {
    local client=$1 to=$2 address=$3
    shift 3
    eventually 5 nobody_listens "$to" 5301 # the last transfer's server may end a moment after its client
    server "$to" iperf3 -s -1 -p 5301
    eventually 3 listening "$to" 5301
    in_pod "$client" iperf3 -C cubic -c "$address" -p 5301 -f g "$@"
}

listening() { in_pod "$1" ss -Hltn "sport = :$2" | matches .; }
nobody_listens() { ! listening "$@"; }
listening_udp() { in_pod "$1" ss -Hlun "sport = :$2" | matches .; }

# ---- Captures --------------------------------------------------------------------------------------------------------

# Everything that passes any port of the underlay, until capture_end.
capture_begin() {
    ip netns exec "$underlay" tcpdump --immediate-mode -Z root -i any -y LINUX_SLL2 -B 65536 -s 0 -U -w "$folder/wire.pcap" \
        >"$folder/tcpdump.out" 2>&1 &
    capture_pid=$!
    background+=("$capture_pid")
    eventually 5 grep -q listening "$folder/tcpdump.out"
}

# Fails unless it holds all that passed: nothing was dropped, and something was seen on every host's port.
capture_end() {
    local name
    sleep 0.3
    kill -TERM "$capture_pid"
    wait "$capture_pid" || true
    grep -q "^0 packets dropped by kernel" "$folder/tcpdump.out" || { cat "$folder/tcpdump.out"; fail "the capture has gaps"; }
    # In there the ports have their names.
    ip netns exec "$underlay" tcpdump -n -r "$folder/wire.pcap" udp port 6783 2>/dev/null | awk '{ print $2 }' |
        sort | uniq -c >"$folder/ports.seen"
    for name in "${!host_number[@]}"; do
        grep -q " to-$name\$" "$folder/ports.seen" || { cat "$folder/ports.seen"; fail "the capture saw nothing at to-$name"; }
    done
}

# How often the text occurs in a file.
occurrences() { { grep -a -o -F -e "$1" "$2" || true; } | wc -l; }

# has_sanitizer HOST: its router was built with one: those take terabytes of addresses.
has_sanitizer() { [[ $(awk '/^VmSize:/ { print $2 }' "/proc/$(router_pid "$1")/status") -gt $((1 << 30)) ]]; }

# How often the text occurs in a core of a process, with what it asks to be left out of cores.
in_core() {
    gcore -a -o "$folder/core" "$1" >"$folder/gcore.out" 2>&1 || { cat "$folder/gcore.out"; return 1; }
    occurrences "$2" "$folder/core.$1"
    rm -f "$folder/core.$1"
}
