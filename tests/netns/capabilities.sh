#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# weaved with the capabilities that weaved.service leaves it, and no others: all that it does for pods and for the host works.
source "$(dirname "$0")/lib.sh"
begin ping setpriv jq

granted=$(sed -n 's/^CapabilityBoundingSet=//p' "$repository/packaging/systemd/weaved.service")
[[ $granted == CAP_* ]] || fail "weaved.service names no capabilities"
bounds=-all$(sed 's/CAP_/,+/g; s/ //g; s/.*/\L&/' <<<"$granted")
# The unit may lock as much memory as it likes; whoever runs this may perhaps not say so.
limit=()
if prlimit --memlock=unlimited true 2>/dev/null; then limit=(prlimit --memlock=unlimited); fi
may_lock() { [[ ${#limit[@]} -gt 0 || $(ulimit -H -l) == unlimited || $(ulimit -H -l) -ge 8192 ]]; }
host a 1
host b 2

# start_a FAST-PATH: weaved on host a, as the unit starts it
start_a() {
    local fast_path=$1
    secret a
    mkdir -p "$folder/a/run"
    # shellcheck disable=SC2046
    ip netns exec "$prefix-a" "${limit[@]}" setpriv --bounding-set "$bounds" --inh-caps=-all --no-new-privs \
        "$build/src/daemon/weaved" $(folders a) --name a --fast-path="$fast_path" >>"$folder/a/run/weaved.log" 2>&1 &
    pid=$!
    background+=("$pid")
    expect "weaved runs with $granted" eventually 5 ctl a status
}
stop_a() {
    kill -TERM "$pid"
    wait "$pid" || fail "weaved ended with status $?"
}

start_a af_xdp
expect "it can gain nothing" grep -q "^NoNewPrivs:.*1" "/proc/$pid/status"
[[ $(sed -n 's/^CapEff:\s*//p' "/proc/$pid/status") != "$(sed -n 's/^CapEff:\s*//p' /proc/self/status)" ]] ||
    fail "it has every capability of this test"
start b "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "IPv4 passes" eventually 5 pings p1 10.32.0.2
expect "IPv6 passes" eventually 5 pings p2 fd32::1
is_fast() { ctl a -o json status | jq -r ".fast_paths[0].path" | matches "^af_xdp "; }
if may_lock; then
    expect "past the kernel" eventually 10 is_fast
else
    echo "left out: past the kernel, as no memory may be locked here"
fi

step "the host joins and leaves"
expect "expose" ctl a expose 10.32.1.1/12
expect "the host is reached" eventually 5 pings p2 10.32.1.1
expect "hide" ctl a hide 10.32.1.1/12
refuse "the host is gone" in_host a sh -c "ip address show | grep -q 10.32.1.1"

step "a restart, and leaving"
stop_a
start_a off
[[ $(ctl a -o json status | jq .sparse_lanes) -ge 1 ]] || fail "it may not have the kernel sort sparse flows"
expect "the pod is still reached" eventually 10 pings p2 10.32.0.1
expect "detach" ctl a detach "/run/netns/$prefix-p1"
refuse "the pod's interface is gone" in_pod p1 ip link show eth0
expect "a new pod" pod a p3 10.32.0.3/12
expect "is reached" eventually 5 pings p2 10.32.0.3
stop_a
grep -i "not permitted\|permission denied" "$folder/a/run/weaved.log" && fail "something was not permitted"
echo "ok: nothing was refused to it"
