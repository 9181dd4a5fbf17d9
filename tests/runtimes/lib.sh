# shellcheck shell=bash
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
#
# Container runtimes on the hosts of tests/netns/lib.sh, which this sources. Nothing is pulled, nothing of the real machine
# is written to, and everything ends with the test.
#
#   machine a 1              a host "a" as host makes it, that is a machine of its own too (tests/runtimes/machine):
#                            in_host a COMMAND... runs there, weaved's folders are /run/weave and /var/lib/weave
#   podman_on a              podman can be used there, set up as examples/podman says; weaved runs already
#   containerd_on a          containerd runs there, with the same network
source "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

example=$repository/examples/podman
declare -A machine_holder=() # the process that a machine ends with
declare -A machine_init=()   # its first process, as we number it

begin_runtimes() {
    begin nsenter unshare setpriv busybox runc iptables python3 curl "$@"
    # A busybox with libraries is of no use in an image of its own.
    [[ $(ldd "$(command -v busybox)" 2>&1) == *"not a dynamic executable"* ]] ||
        skip "busybox is not the static one: install busybox-static"
    [[ -x /usr/lib/cni/portmap && -x /usr/lib/cni/bandwidth && -x /usr/lib/cni/host-local ]] ||
        skip "the CNI plugins portmap, bandwidth and host-local are missing: install containernetworking-plugins"
    [[ -x $build/src/cni/weave-cni && -x $build/src/cni/weave-ipam ]] || skip "weave-cni and weave-ipam are not built in $build"
    grep -qw overlay /proc/filesystems || skip "the kernel has no overlay file system"
}

machine() {
    local name=$1
    host "$@"
    mkdir -p "$folder/$name/machine" "$folder/$name/run" "$folder/$name/state"
    setpriv --pdeathsig KILL "$repository/tests/runtimes/machine" "$prefix-$name" "/run/netns/$prefix-$name" \
        "$folder/$name/machine" >"$folder/$name/machine.out" 2>&1 &
    machine_holder[$name]=$!
    eventually 10 test -e "$folder/$name/machine/ready" || { cat "$folder/$name/machine.out"; fail "machine $name does not come up"; }
    machine_init[$name]=$(pgrep -P "${machine_holder[$name]}")
    in_host "$name" sh -es <<END || fail "machine $name cannot be set up"
        mkdir -p /run/weave /var/lib/weave /usr/local/sbin /usr/local/bin
        mount --bind $folder/$name/run /run/weave
        mount --bind $folder/$name/state /var/lib/weave
        # As installed.
        ln -s $launch /usr/local/sbin/weave-launch
        ln -s $weavectl /usr/local/bin/weavectl
        echo "nameserver 192.0.2.1" >/etc/resolv.conf
        # What is peculiar to a test: no journal, no right to raise limits, a file system that lies on any other.
        mkdir -p /etc/containers/containers.conf.d
        cat >/etc/containers/containers.conf.d/test.conf <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
        cat >/etc/containers/storage.conf <<CONF
[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
CONF
END
}

in_host() {
    if [[ -n ${machine_init[$1]:-} ]]; then
        nsenter --target "${machine_init[$1]}" --mount --uts --ipc --net --pid --cgroup -- "${@:2}"
    else
        ip netns exec "$prefix-$1" "${@:2}"
    fi
}

# The tests' folders of a machine lie where weaved and the plugins look when they are told nothing.
folders() {
    if [[ -n ${machine_init[$1]:-} ]]; then
        echo "--run-dir /run/weave --state-dir /var/lib/weave"
    else
        echo "--run-dir $folder/$1/run --state-dir $folder/$1/state"
    fi
}

# Called by cleanup while the hosts are still there.
before_cleanup() {
    local name
    for name in "${!machine_holder[@]}"; do
        kill -KILL "${machine_holder[$name]}" 2>/dev/null
        wait "${machine_holder[$name]}" 2>/dev/null
        unset "machine_init[$name]"
        # The last of its processes may take a moment.
        eventually 5 "$repository/tests/runtimes/machine" remove "$prefix-$name" || echo "control groups of machine $name are left"
    done
}

# ---- podman ----------------------------------------------------------------------------------------------------------

# The network "weave" and the image "busybox", as examples/podman/README.md has it.
podman_on() {
    in_host "$1" sh -es <<END || fail "podman on machine $1 cannot be set up"
        rm -f /etc/cni/net.d/*
        weave-launch cni install --bin-dir /usr/lib/cni
        cp $example/containers.conf /etc/containers/containers.conf.d/weave.conf
        $example/image | podman import -q - busybox >/dev/null
END
}

podman_in() { in_host "$1" podman "${@:2}"; }

# serve HOST NAME TEXT [PODMAN-OPTION...]: a container that serves the text as its page, on port 80
serve() {
    podman_in "$1" run -d --name "$2" "${@:4}" busybox sh -c "echo '$3' >/www/index.html; exec httpd -f -p 80 -h /www"
}

# address_of 4|6 HOST NAME: of a container, as podman has it from the plugins
address_of() {
    local field=IPAddress
    [[ $1 == 4 ]] || field=GlobalIPv6Address
    podman_in "$2" inspect -f "{{range .NetworkSettings.Networks}}{{.$field}}{{end}}" "$3"
}

readonly http_request='printf "GET / HTTP/1.0\r\n\r\n"'

# fetches HOST NAME ADDRESS TEXT: the container gets a page with this text (busybox' wget cannot do that in a static build)
fetches() {
    local page
    page=$(podman_in "$1" exec "$2" sh -c "$http_request | nc -w 5 $3 80") || true
    echo "$page"
    grep -qF -e "$4" <<<"$page"
}

# page WHERE URL TEXT: so does curl on a host
page() {
    local page
    page=$(in_host "$1" curl -s -g -m 5 "$2") || true
    echo "$page"
    grep -qF -e "$3" <<<"$page"
}

# holder_of HOST ADDRESS: who has the address, nothing if nobody
holder_of() { ctl "$1" -o json ipam lookup "${2%/*}" | jq -r '.holder // empty'; }
is_free() { [[ -z $(holder_of "$1" "$2") ]]; }
attached() { ctl "$1" -o json status attachments | jq length; }
has_attached() { [[ $(attached "$1") -eq $2 ]] || { ctl "$1" status attachments; return 1; }; }

# ---- containerd ------------------------------------------------------------------------------------------------------

readonly containerd_image=localhost/busybox:latest

# containerd with that network and image, until the test ends.
containerd_on() {
    [[ -e $folder/image.tar ]] ||
        "$example/image" | "$repository/tests/runtimes/tools/oci_image.py" "$containerd_image" >"$folder/image.tar"
    in_host "$1" sh -es <<END || fail "containerd on machine $1 cannot be set up"
        rm -f /etc/cni/net.d/*
        weave-launch cni install --bin-dir /usr/lib/cni
        printf '%s\n' 'version = 2' 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' >/etc/containerd/config.toml
        containerd >$folder/$1/containerd.log 2>&1 </dev/null &
END
    eventually 10 in_host "$1" ctr version || { cat "$folder/$1/containerd.log"; fail "containerd on machine $1 does not come up"; }
    in_host "$1" ctr image import --snapshotter native "$folder/image.tar" >/dev/null || fail "the image cannot be imported on $1"
}

# ctr_run HOST NAME TEXT: a container that serves the text as its page; ctr waits for its end, and takes it down then
ctr_run() {
    in_host "$1" ctr run --rm --cni --snapshotter native "$containerd_image" "$2" \
        sh -c "echo '$3' >/www/index.html; exec httpd -f -p 80 -h /www" >"$folder/$1-$2.out" 2>&1
}

# ctr_address 4|6 HOST NAME: as weaved has it
ctr_address() {
    ctl "$2" -o json status attachments | jq -r --arg id "cni/weave/default-$3" --arg colon "$([[ $1 == 4 ]] || echo :)" \
        '.[] | select(.id == $id) | .addresses[] | select(contains(":") == ($colon == ":")) | sub("/.*"; "")'
}

# ctr_fetches HOST NAME ADDRESS TEXT
ctr_fetches() {
    local page
    page=$(in_host "$1" ctr task exec --exec-id "fetch-$RANDOM" "$2" sh -c "$http_request | nc -w 5 $3 80") || true
    echo "$page"
    grep -qF -e "$4" <<<"$page"
}
