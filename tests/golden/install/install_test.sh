#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# install_test.sh FILES EXAMPLE COMPILER...: "meson install" puts FILES into place and nothing else, each is fit for whoever
# reads it, and a foreign program is built against what was installed.
set -euo pipefail
files=$1 example=$2 compiler=("${@:3}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root

fail() {
    echo "FAILED: $*"
    exit 1
}

meson install -C "$WEAVE_BUILD" --no-rebuild --destdir "$root" >"$folder/install.out" 2>&1 ||
    { cat "$folder/install.out"; fail "meson install"; }
diff -u <(sort "$files") <(find "$root" ! -type d -printf '/%P\n' | sort) || fail "other files are installed than $files says"

for program in weaved weave-launch weavectl weave-cni weave-ipam; do
    path=$(grep "bin/$program\$" "$files")
    "$root$path" --help >"$folder/help" || fail "$program --help"
    [[ -s $folder/help ]] || fail "$program --help says nothing"
done
grep -o '@[a-z]*@' -r "$root$PREFIX/lib/systemd" && fail "something was not filled in"
unit=$root$PREFIX/lib/systemd/system/weaved.service
grep -q "^ExecStart=$(grep 'bin/weaved$' "$files") " "$unit" || fail "ExecStart does not name the installed weaved"

while read -r page; do
    [[ -s $root$page ]] || fail "$page is empty"
    ! command -v groff >/dev/null || [[ -z $(groff -man -Tutf8 -ww -z "$root$page" 2>&1 | tee /dev/stderr) ]] ||
        fail "groff warns of $page"
done < <(grep '\.8$' "$files")

while read -r completion; do
    bash -euo pipefail -c "source '$root$completion' && complete -p ${completion##*/}" >/dev/null || fail "$completion"
done < <(grep '/completions/' "$files")

if command -v systemd-analyze >/dev/null; then
    # It looks for the program too, and would look for the pages where man does.
    sed "s|^ExecStart=|&$root|" "$unit" >"$folder/weaved.service"
    warnings=$(systemd-analyze verify --man=no "$folder/weaved.service" 2>&1 | grep -F weaved.service || true)
    [[ -z $warnings ]] || fail "systemd-analyze: $warnings"
fi

export PKG_CONFIG_LIBDIR=$root$LIBDIR/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
# shellcheck disable=SC2046 # several flags
"${compiler[@]}" -std=c++20 "$example" -o "$folder/client" $(pkg-config --cflags --libs weave) || fail "building $example"
