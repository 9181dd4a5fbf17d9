#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# options_test.sh WEAVED PAGE: the page in docs/ is what weaved says of its options. WEAVE_ACCEPT=1 writes it anew.
set -euo pipefail
weaved=$1 page=$2
if [[ -n ${WEAVE_ACCEPT:-} ]]; then
    sed -i '/^| option/,$d' "$page"
    "$weaved" --option-reference markdown >>"$page"
    echo "skipped: $page was written anew"
    exit 77
fi
if ! diff -u <(sed -n '/^| option/,$p' "$page") <("$weaved" --option-reference markdown); then
    echo "docs/options.md is out of date: WEAVE_ACCEPT=1 meson test -C build --suite golden"
    exit 1
fi
# Every option is in --help and in the man page's part too.
"$weaved" --option-reference markdown | grep -o '^| `--[a-z-]*' | tr -d '|` ' | while read -r option; do
    # Not "| grep -q": it would end before its writer.
    [[ $("$weaved" --help | grep -c -e "^ *$option ") -ge 1 ]] || { echo "$option is missing from --help"; exit 1; }
    [[ $("$weaved" --option-reference man | grep -c -F -e "$option\\fR") -ge 1 ]] ||
        { echo "$option is missing from the man page"; exit 1; }
done
