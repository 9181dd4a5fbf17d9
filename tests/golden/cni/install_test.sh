#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# "weave-launch cni install" and "cni remove": whole files, the configuration last, nothing of others touched.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
launch=$here/../../../packaging/weave-launch
folder=$(mktemp -d)
background=
trap 'kill $background 2>/dev/null || true; rm -rf "$folder"' EXIT
bin=$folder/bin conf=$folder/conf
conflist=$conf/10-weave.conflist
unset "${!WEAVE_@}" && export WEAVE_BUILD=$1

fail() {
    echo "FAILED: $*"
    cat "$folder/out"
    exit 1
}

run() { "$launch" cni "$@" --run-dir "$folder/run" --state-dir "$folder/state" >"$folder/out" 2>&1; }
install() { run install --bin-dir "$bin" --conf-dir "$conf" "$@"; }
says() { grep -qF -e "$1" "$folder/out" || fail "it does not say '$1'"; }

mkdir "$folder/run" "$bin" "$conf"
python3 "$here/fake_weaved.py" "$folder/run/weave.sock" "$folder/ready" &
background=$!

# Not before weaved is ready; the programs are there already.
install &
waiting=$!
for ((i = 0; i < 100; i++)); do
    [[ ! -x $bin/weave-ipam ]] || break
    sleep 0.1
done
sleep 1
[[ ! -e $conflist ]] || fail "the configuration is there before weaved is ready"
touch "$folder/ready"
wait "$waiting" || fail "cni install"
says "installed $conflist"
says "there is no portmap in $bin"
cmp -s "$bin/weave-cni" "$WEAVE_BUILD/src/cni/weave-cni" || fail "another weave-cni was installed"
[[ $(stat -c %a "$bin/weave-cni" "$conflist" | xargs) == "755 644" ]] || fail "the modes are wrong"
diff - "$conflist" <<END || fail "another configuration"
{
  "cniVersion": "1.0.0",
  "name": "weave",
  "plugins": [
    {"type": "weave-cni", "socket": "$folder/run/weave.sock", "stateDir": "$folder/state", "capabilities": {"ips": true, "mac": true, "dns": true}}
  ]
}
END
[[ -z $(find "$bin" "$conf" -name '.*' -type f) ]] || fail "something is left over"

# Again: nothing changes, not even a time stamp. With other plugins and another mode: its own file is replaced.
before=$(stat -c %y%i "$bin"/* "$conflist")
install || fail "a second time"
[[ $(stat -c %y%i "$bin"/* "$conflist") == "$before" ]] || fail "a second time changes something"
for name in portmap bandwidth; do
    printf '#!/bin/sh\n' >"$bin/$name" && chmod 0755 "$bin/$name"
done
touch "$conf/05-other.conf" "$conf/99-later.conflist"
install --mode routed || fail "another mode"
python3 -c 'import json, sys; print([(p["type"], p.get("mode")) for p in json.load(open(sys.argv[1]))["plugins"]])' "$conflist" |
    grep -qF "[('weave-cni', 'routed'), ('portmap', None), ('bandwidth', None)]" || fail "the chain is another"
says "warning: runtimes use $conf/05-other.conf before"
! grep -qF 99-later "$folder/out" || fail "it warns of what sorts behind"
install || fail "without a mode"
grep -qF '"mode": "routed"' "$conflist" || fail "the mode is not kept"

# A program that runs is replaced without a "text file busy", and goes on.
cp /bin/sleep "$bin/weave-ipam"
"$bin/weave-ipam" 100 &
sleeper=$!
background="$background $sleeper"
! install || fail "a program of others was replaced"
says "not of weave-launch's making"
install --force || fail "with --force"
kill -0 "$sleeper" || fail "the program that ran is gone"

# What a person wrote is not overwritten; with --force a copy is kept, under a name no runtime reads.
echo '{"mine": 1}' >"$conflist"
! install || fail "a configuration of others was replaced"
says "$conflist is there and not of weave-launch's making"
[[ $(cat "$conflist") == '{"mine": 1}' ]] || fail "it was changed all the same"
install --force || fail "with --force"
[[ $(cat "$conflist.old") == '{"mine": 1}' ]] || fail "no copy was kept"

# Removing: only what was installed and is as it was.
echo '{"mine": 2}' >"$conflist"
run remove || fail "cni remove"
says "$conflist was changed since it was installed, and is left"
[[ $(cd "$bin" && echo *) == "bandwidth portmap" ]] || fail "the programs are not gone, or more than they"
[[ -e $conflist && ! -e $folder/state ]] || fail "what is left is wrong"
rm "$conflist"
install || fail "anew"
run remove || fail "cni remove"
[[ ! -e $conflist ]] || fail "the configuration is left"
run remove || fail "once more"
says "nothing"

for wrong in "install --mode tree" "install --bin-dir" "install more" "install --conf-dir=" "change"; do
    # shellcheck disable=SC2086
    ! "$launch" cni $wrong >"$folder/out" 2>&1 || fail "cni $wrong succeeds"
done
