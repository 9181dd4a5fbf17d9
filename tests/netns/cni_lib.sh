# shellcheck shell=bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
#
# Containers for the tests of this folder that CNI plugins attach. Source it after lib.sh.
#
#   conflist a NAME VERSION PLUGIN-JSON...   a configuration of host a, in $folder/a/NAME.conflist
#   container c1             a network namespace for one, in_pod c1 runs in it
#   cni a NAME VERB [c1 [IFNAME]]            as a runtime calls it; the output is in $folder/cni.out
#   said '["ips"][0]'        of the last output, by a Python index

# Debian's plugins; ours are found first.
other_plugins=/usr/lib/cni
cni_path=$build/src/cni:$other_plugins

begin_cni() {
    begin "$@"
    local plugin
    for plugin in host-local static portmap bandwidth; do
        [[ -x $other_plugins/$plugin ]] || skip "$other_plugins/$plugin is missing: apt-get install containernetworking-plugins"
    done
    [[ -x $build/src/cni/weave-cni ]] || skip "weave-cni is not built in $build"
}

# The keys by which a plugin finds the weaved of a host.
place() { echo "\"socket\": \"$folder/$1/run/weave.sock\", \"stateDir\": \"$folder/$1/state\""; }

conflist() {
    local on=$1 name=$2 version=$3
    shift 3
    local IFS=,
    echo "{\"cniVersion\": \"$version\", \"name\": \"$name\", \"plugins\": [$*]}" >"$folder/$on/$name.conflist"
}

container() {
    ip netns add "$prefix-$1"
    ip -n "$prefix-$1" link set lo up
}

cni() {
    local on=$1 name=$2 verb=$3 of=${4:-} ifname=${5:-eth0}
    mkdir -p "$folder/$on/cache"
    # shellcheck disable=SC2086
    CNI_PATH=$cni_path in_host "$on" "$repository/tests/netns/tools/cni.py" "$folder/$on/$name.conflist" "$folder/$on/cache" \
        "$verb" ${of:+"$of" "${cni_netns-/run/netns/$prefix-$of}" "$ifname"} >"$folder/cni.out" 2>"$folder/cni.err" ||
        { cat "$folder/cni.out" "$folder/cni.err"; return 1; }
}

said() { python3 -c 'import json, sys; print(eval("json.load(open(sys.argv[1]))" + sys.argv[2]))' "$folder/cni.out" "$1"; }

# address_of INDEX: without its length
address_of() {
    local whole
    whole=$(said "['ips'][$1]['address']")
    echo "${whole%/*}"
}

# code N: what the failed call said
code() {
    [[ $(said '["code"]') == "$1" ]] || { cat "$folder/cni.out"; fail "the code is not $1"; }
    echo "ok: code $1: $(said '["msg"]')"
}

tombstones() { find "$folder/$1/state/tombstones" -name '*.json' 2>/dev/null | wc -l; }
