#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# What bash completes after some words. Usage: completion_test.sh COMPLETION-FILE
set -u
# shellcheck disable=SC1090
source "$1"
failures=0

# completes WANTED WORD...: the last word is the one to complete
completes() {
    local wanted=$1
    shift
    COMP_WORDS=(weavectl "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _weavectl
    [[ ${COMPREPLY[*]} == "$wanted" ]] && return
    echo "weavectl $*: completes to '${COMPREPLY[*]}', not to '$wanted'"
    failures=$((failures + 1))
}

completes "status" sta
completes "status connect forget attach detach expose hide ipam rmpeer report genkey version" ""
completes "connections" status con
completes "connections peers targets drops attachments" status ""
completes "peers" --run-dir /nowhere --state-dir /nowhere -o json status pe
completes "text json" -o ""
completes "json" status --output j
completes "--replace" connect --rep
completes "--run-dir --state-dir --socket --output --help --version" --
completes "--run-dir" status --run
completes "--state-dir" status --sta
completes "" status --rep
completes "--ifname" attach web --if
completes "eth0" attach web --ifname ""
completes "" expose ""
completes "--own" expose --ow
completes "status claim release lookup conflicts gc" ipam ""
completes "" ipam lookup ""
completes "--apply" ipam gc --ap
completes "" ipam status --ap
completes "bridge routed" attach web --mode ""
completes "/etc" --state-dir /et
exit $((failures > 0))
