#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# Every command of examples/podman/README.md, on two hosts, with what it is said to print.
source "$(dirname "$0")/lib.sh"
begin_runtimes podman

machine a 1
machine b 2
mkdir "$folder/home" # of root, on both hosts: nothing has to be copied from one to the other
wanted=()
said=

# Each wanted line is in what was said, in this order; "..." stands for anything.
compare() {
    local line pattern=
    for line in "${wanted[@]}"; do
        pattern+="*$(printf '%q' "$line")"
        pattern=${pattern//.../*}
    done
    # shellcheck disable=SC2053 # a pattern it is
    [[ $said == $pattern* ]] || { echo "$said"; printf 'README: %s\n' "${wanted[@]}"; fail "it prints something else"; }
    wanted=()
}

command_on() {
    local host
    compare
    said=
    for host in $1; do
        echo "$host# $2"
        said+=$(in_host "$host" env HOME="$folder/home" bash -c "cd $repository; $2" 2>&1) || { echo "$said"; fail "the command fails"; }
    done
}

count=0
while IFS= read -r line; do
    case "$line" in
        "    a# "* | "    b# "*) command_on "${line:4:1}" "${line:7}" ;;
        "    both# "*) command_on "a b" "${line:10}" ;;
        "    "*)
            [[ $count -eq 0 ]] || wanted+=("${line:4}")
            continue
            ;;
        *) continue ;;
    esac
    count=$((count + 1))
done <"$example/README.md"
compare
[[ $count -ge 20 ]] || fail "there are only $count commands"
echo "ok: $count commands"
