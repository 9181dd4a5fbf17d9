#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# options_test.sh WEAVED PAGE: the page in docs/ is what weaved says of its options.
set -euo pipefail
weaved=$1 page=$2
if ! diff -u <(sed -n '/^| option/,$p' "$page") <("$weaved" --option-reference markdown); then
    echo "docs/options.md is out of date: replace its table by the output of 'weaved --option-reference markdown'"
    exit 1
fi
# Every option is in --help and in the man page's part too.
"$weaved" --option-reference markdown | grep -o '^| `--[a-z-]*' | tr -d '|` ' | while read -r option; do
    # Not "| grep -q": it would end before its writer.
    [[ $("$weaved" --help | grep -c -e "^ *$option ") -ge 1 ]] || { echo "$option is missing from --help"; exit 1; }
    [[ $("$weaved" --option-reference man | grep -c -F -e "$option\\fR") -ge 1 ]] ||
        { echo "$option is missing from the man page"; exit 1; }
done
