#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Flows that send little have lanes of their own, so that they do not wait behind those that send much: which lane carries
# what, with peers that sort and that do not, over a takeover, and where the kernel may not be asked to sort.
export WEAVE_NO_SPARSE_LANES=false # over AF_XDP, too
source "$(dirname "$0")/lib.sh"
begin ping iperf3 python3 jq

host a 1
host b 2
start a --lanes 2
start b --lanes 1 "$(address a)"
pod a p1 10.32.0.1/12 fd32::1/64
pod b p2 10.32.0.2/12 fd32::2/64
expect "pods talk" eventually 5 pings p1 10.32.0.2

sparse_lanes() { ctl "$1" -o json status | jq .sparse_lanes; }
# frames HOST PARITY: read from the TAP by lanes whose number modulo 2 is that
frames() { ctl "$1" report | jq "[.lanes[] | select(.lane % 2 == $2).tap_reads] | add"; }

step "each lane has one beside it"
[[ $(sparse_lanes a) == 2 && $(sparse_lanes b) == 1 ]] || fail "there are $(sparse_lanes a) and $(sparse_lanes b) of them"
expect "the status says so" matches "^lanes: *2, and 2 for sparse flows" < <(ctl a status)
sends_much() { [[ $(frames a 0) -gt $1 ]]; }
few=$(frames a 0) sparse=$(frames a 1)
expect "a hundred pings" pings p1 10.32.0.2 100
[[ $(frames a 0) -eq $few && $(frames a 1) -ge $((sparse + 100)) ]] || fail "pings went with what sends much"
echo "ok: they went by the lanes for sparse flows"
if [[ ${WEAVE_FAST_PATH:-} == af_xdp ]]; then
    # past_kernel HOST: datagrams that went that way so far, out and in
    past_kernel() { ctl "$1" -o json status | jq '.fast_paths[0] | select(.path | startswith("af_xdp")) | .sent + .received'; }
    takes() { [[ -n $(past_kernel "$1") ]]; }
    expect "host a takes the fast path" eventually 10 takes a
    expect "host b takes the fast path" eventually 10 takes b
    was=$(past_kernel a)
    expect "a hundred pings" pings p1 10.32.0.2 100
    [[ $(past_kernel a) -lt $((was + 100)) ]] || fail "pings went past the kernel, where they would wait behind what sends much"
    expect "a transfer" transfer p1 p2 10.32.0.2 -t 1
    for one in a b; do
        [[ $(past_kernel $one) -gt $((was + 500)) ]] || fail "what sends much did not go past the kernel of host $one"
    done
    echo "ok: they went by the kernel's sockets, and what sends much past them"
fi

step "a flow that sends much"
for address in 10.32.0.2 fd32::2; do
    much=$(frames a 0)
    in_background transfer p1 p2 $address -t 4 >"$folder/transfer" 2>&1
    transfer=$!
    expect "it sends" eventually 5 sends_much $((much + 100))
    sparse=$(frames a 1)
    expect "pings beside it, none lost" pings p1 10.32.0.2 20
    [[ $(frames a 1) -ge $((sparse + 20)) ]] || fail "pings went with the flow"
    wait $transfer || fail "the transfer to $address failed: $(cat "$folder/transfer")"
    [[ $(frames a 0) -ge $((much + 1000)) ]] || fail "the flow to $address did not go by the lanes for it"
    echo "ok: the flow to $address goes apart from them"
done

step "a takeover"
expect "host a goes on" restart a --lanes 2
[[ $(sparse_lanes a) == 2 ]] || fail "its lanes for sparse flows are gone"
expect "pods talk" eventually 5 pings p1 10.32.0.2
few=$(frames a 0)
expect "a hundred pings" pings p1 10.32.0.2 100
[[ $(frames a 0) -eq $few ]] || fail "pings go with what sends much now"

step "a host where nobody may load eBPF programs"
stop b
# shellcheck disable=SC2046
ip netns exec "$prefix-b" python3 "$(dirname "$0")/without_bpf.py" \
    "$build/src/daemon/weaved" $(folders b) --name b --lanes 3 "$(address a)" >>"$folder/b/run/weaved.log" 2>&1 &
background+=($!)
expect "weaved runs" eventually 5 ctl b status
[[ $(sparse_lanes b) == 0 ]] || fail "it says that it has lanes for sparse flows"
expect "and says why not" grep -q 'event=no_lanes_for_sparse_flows reason="the kernel does not take' "$folder/b/run/weaved.log"
expect "pods talk" eventually 10 pings p1 10.32.0.2
expect "transfers to it" transfer p1 p2 10.32.0.2 -t 1 -P 8
expect "transfers from it" transfer p2 p1 10.32.0.1 -t 1 -P 8
