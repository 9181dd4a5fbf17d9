#!/bin/sh
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# What weavectl says when it cannot do what it is asked, and with which exit status. Usage: weavectl_test.sh WEAVECTL
set -u
weavectl=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect STATUS TEXT ARGS...: weavectl ARGS exits with STATUS and its output holds TEXT.
expect() {
    want=$1 text=$2
    shift 2
    output=$("$weavectl" --run-dir "$folder" "$@" 2>&1)
    got=$?
    case $output in
    *"$text"*) [ "$got" -eq "$want" ] && return ;;
    esac
    echo "weavectl $*: exit $got (want $want), output: $output (want: $text)"
    failures=$((failures + 1))
}

expect 1 "weaved is not running on this host (no socket at $folder/weave.sock): start it with 'weave-launch start'" status
expect 1 "weaved is not running" connect 192.0.2.1
expect 1 "there is no network namespace or process 'nowhere'" attach nowhere
expect 1 "/dev/null is not a network namespace" attach /dev/null
expect 1 "'10.32.0.5' is not an address with a prefix length" attach nowhere 10.32.0.5
expect 1 "'10.32.0.5/33' is not an address with a prefix length" expose 10.32.0.5/33
expect 2 "'frobnicate' is not a command: see 'weavectl --help'" frobnicate
expect 2 "'help' is not a command: see 'weavectl --help'" help
expect 2 "'help' is not a command: see 'weavectl --help'" -o json help me
expect 2 '{"error":"usage","message":' -o json help
expect 1 '{"error":"not_running","message":"weaved is not running' -o json expose 10.32.0.5/12
expect 1 '{"error":"not_found","message":"there is no network namespace' detach nowhere -o json
expect 1 '{"error":"invalid","message":' -o json hide 10.32.0.5
expect 2 "WHAT: 'everything' is none of connections, peers, targets, drops, attachments: see 'weavectl status --help'" status everything
expect 2 "PEER is missing: see 'weavectl connect --help'" connect
expect 2 "NETNS is missing: see 'weavectl attach --help'" attach
expect 2 "--output: 'yaml' is none of text, json: see 'weavectl" -o yaml status
expect 2 "'-x' is not an option: see 'weavectl --help'" -x
expect 2 "'-x' is not an option: see 'weavectl status --help'" status -x
expect 2 "'more' is not expected: see 'weavectl report --help'" report more
expect 2 "--ifname is given more than once: see 'weavectl detach --help'" detach web --ifname a --ifname b
expect 2 "--ifname needs a value: see 'weavectl detach --help'" detach web --ifname
expect 1 "NETNS is empty: give a pid" attach ""
expect 1 "weaved is not running" --state-dir "$folder/state" status
expect 2 "a command is missing: see 'weavectl --help'"
expect 0 "weavectl " --version
expect 0 "weaved -" version
expect 0 '"weaved": null' version -o json
expect 0 "attach" --help
expect 0 "" genkey "$folder/cluster.json"
expect 0 "{
  \"file\": \"$folder/another.json\"
}" -o json genkey "$folder/another.json"
expect 1 "exists already" genkey "$folder/cluster.json"
[ "$(stat -c %a "$folder/cluster.json")" = 600 ] || { echo "the cluster file is not private"; failures=$((failures + 1)); }
grep -Eq '^\{"weavemesh_cluster":1,"id":"[0-9a-f]{32}","secrets":\[\{"id":1,"key":"[0-9a-f]{64}"\}\]\}$' "$folder/cluster.json" ||
    { echo "the cluster file has another form"; failures=$((failures + 1)); }
"$weavectl" genkey 2>"$folder/full" >/dev/full && { echo "genkey does not notice a full disk"; failures=$((failures + 1)); }
grep -q "cannot write to the standard output" "$folder/full" || { echo "genkey does not say that the disk is full"; failures=$((failures + 1)); }
exit $((failures > 0))
