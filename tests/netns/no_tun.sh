#!/bin/bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
# A host without /dev/net/tun, or with something else in its place: weave-launch and weaved each say it in one sentence, and
# nothing is left behind. The others are not disturbed.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/meanwhile.sh"
begin ping unshare mount

host a 1
host b 2
host x 3
start a
start b "$(address a)"
pod a p1 10.32.0.1/12
pod b p2 10.32.0.2/12
expect "the first ping passes" eventually 5 pings p1 10.32.0.2
secret x
meanwhile_begin p1 10.32.0.2 a b

# without HOW COMMAND...: on host x, in a mount namespace whose /dev/net/tun is missing, or is /dev/null
without() {
    local how=$1
    shift
    # shellcheck disable=SC2016 # expanded in there
    in_host x unshare -m sh -c '
        case "$0" in
            missing) mount -t tmpfs none /dev/net ;;
            null) mount --bind /dev/null /dev/net/tun ;;
            forbidden) mount -t tmpfs -o nodev none /dev/net && mknod /dev/net/tun c 10 200 ;;
        esac || exit 77
        exec "$@"' "$how" "$@"
}
without missing true || skip "nothing can be mounted here"

nothing_left() {
    [[ -z $(ip netns pids "$prefix-x") ]] || fail "something still runs on x"
    [[ $(ip -n "$prefix-x" -o link show | grep -c -v ' lo:\| eth0@') -eq 0 ]] ||
        fail "an interface is left: $(ip -n "$prefix-x" -o link show)"
    [[ ! -e $folder/x/run/weaved.pid && ! -e $folder/x/run/weave.sock ]] ||
        fail "left in the run folder: $(ls "$folder/x/run")"
    echo "ok: nothing is left"
}

for how in missing null forbidden; do
    step "/dev/net/tun: $how"
    # shellcheck disable=SC2046
    refuse "weave-launch start" without "$how" "$launch" start $(folders x) "$(address a)"
    cat "$folder/last.out"
    says "/dev/net/tun"
    one_sentence weave-launch
    nothing_left
    # shellcheck disable=SC2046
    refuse "weaved" without "$how" timeout 10 "$build/src/daemon/weaved" $(folders x) "$(address a)"
    cat "$folder/last.out"
    one_sentence weaved
    says "/dev/net/tun"
    nothing_left
done
expect "with the device it starts" start x "$(address a)"
meanwhile_end 32
