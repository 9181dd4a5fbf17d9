#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# tests/bench/compare from end to end, as short as it can be: what it measures here says nothing, that it measures does.
source "$(dirname "$0")/lib.sh"
begin iperf3 python3 ethtool
compare=$repository/tests/bench/compare
[[ -x $build/tests/bench/tools/load && -x $build/tests/bench/tools/crowd ]] || skip "tests/bench/tools are not built in $build"
wanted=() # "PEER FIGURE"
ours() { ip netns list | matches "^wb$1-"; }

step "who asks wrongly is told"
refuse "an unknown peer" "$compare" --peers vxlan,openvpn
grep -q "openvpn is none of weavemesh, " "$folder/last.out" || fail "it does not say so"
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
if nobody test -r "$compare"; then
    refuse "without root" nobody "$compare" --build "$build"
    grep -q "compare: needs root" "$folder/last.out" || { cat "$folder/last.out"; fail "it does not say so"; }
fi
refuse "a folder without a build" "$compare" --build "$folder"
grep -q "src/daemon/weaved is missing: ninja -C " "$folder/last.out" || fail "it does not say so"

step "all of it with three peers"
expect "it runs" env -u WEAVE_BENCH_RIG "$compare" --tiny --peers weavemesh,weavemesh-clear,vxlan,prototype --build "$build" --output "$folder/report.json"
grep -q "limit prototype: skipped, WEAVE_BENCH_RIG does not name the folder" "$folder/last.out" || fail "the prototype is not skipped"
grep -q "^met \|^missed " "$folder/last.out" || { cat "$folder/last.out"; fail "no target is judged"; }
for figure in tcp1 tcp4 tcp16 tcp_both udp64 udp512 udp1372 idle_p50 loaded_p999 machine_cpu; do
    wanted+=("weavemesh $figure" "weavemesh-clear $figure" "vxlan $figure")
done
for figure in router_cpu rss relay_tcp1 relay_cpu rss_2_peers restart_gap kill_gap; do
    wanted+=("weavemesh $figure")
done
expect "each figure is there, and above zero" python3 - "$folder/report.json" "${wanted[@]}" <<'PY'
import json, sys
medians = json.load(open(sys.argv[1]))["medians"]
missing = [each for each in sys.argv[2:] if not medians[each.split()[0]].get(each.split()[1], 0) > 0]
sys.exit(f"missing: {missing}" if missing else 0)
PY
grep -q "^</svg>$" "$folder/report.svg" || fail "there is no plot"

step "told to end in the middle it leaves nothing"
"$compare" --tiny --peers vxlan --parts rounds --build "$build" --output "$folder/none.json" >"$folder/ended.out" 2>&1 &
pid=$!
background+=("$pid")
expect "it is at work" eventually 10 ours "$pid"
kill -INT "$pid" 2>/dev/null
status=0
wait "$pid" || status=$?
[[ $status -eq 130 ]] || { cat "$folder/ended.out"; fail "it ended with status $status"; }
refuse "its namespaces are gone" ours "$pid"
[[ ! -e $folder/none.json ]] || fail "it wrote a report"
