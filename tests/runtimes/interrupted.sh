#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A test of this folder that is interrupted, or killed, while containers run leaves nothing of them.
source "$(dirname "$0")/lib.sh"
begin_runtimes podman containerd ctr jq

if [[ ${1:-} == inner ]]; then
    machine a 1
    start a
    podman_on a
    containerd_on a
    expect "podman" serve a web "page of web" -p 8080:80
    in_background ctr_run a web "page of web"
    expect "ctr" eventually 15 has_attached a 2
    echo "$prefix $folder" >"$2"
    in_background setpriv --pdeathsig KILL sleep 600
    wait $! # a trap does not wait for it
    exit 0
fi

# alive PID...: whether one of them is
alive() {
    local pid
    for pid; do
        [[ ! -d /proc/$pid ]] || { ps -o pid,ppid,stat,args "$pid"; return 0; }
    done
    return 1
}
none_alive() { ! alive "$@"; }

for signal in TERM KILL; do
    step "$signal"
    rm -f "$folder/begun"
    "$0" inner "$folder/begun" >"$folder/inner.out" 2>&1 &
    inner=$!
    background+=("$inner")
    eventually 60 test -s "$folder/begun" || { cat "$folder/inner.out"; fail "the test does not begin"; }
    read -r name where <"$folder/begun"
    first=$(pgrep -f "^/bin/bash $repository/tests/runtimes/machine inside $name-a ")
    mapfile -t pids < <(pgrep --ns "$first" --nslist pid)
    ps -o args "${pids[@]}" >"$folder/processes"
    for each in conmon containerd containerd-shim httpd weaved; do
        grep -q "$each" "$folder/processes" || { cat "$folder/processes"; fail "no $each runs"; }
    done
    kill "-$signal" "$inner"
    wait "$inner" || true
    expect "its ${#pids[@]} processes are gone" eventually 5 none_alive "${pids[@]}"
    if [[ $signal == KILL ]]; then
        # What a killed test cannot remove holds nothing that runs.
        for each in "$name-a" "$name-wire"; do
            ip netns delete "$each"
        done
        eventually 5 "$repository/tests/runtimes/machine" remove "$name-a" || fail "control groups cannot be removed"
        rm -rf "$where"
    fi
    for each in $(ip netns list | awk '{ print $1 }') /sys/fs/cgroup/* /sys/fs/cgroup/*/* /tmp/weavemesh-test.*; do
        [[ ${each##*/} != "$name"-* && $each != "$where" ]] || fail "$each is left"
    done
    refuse "no mount is left" grep -F -e "$where" -e "$name" /proc/self/mountinfo
done
