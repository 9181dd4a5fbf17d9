# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Who is compared: each makes a way between pods p1 and p2 of a fresh rig with two hosts.

A peer has an `address`, pod p2's as pod p1 sees it, and `pids()`, the processes whose memory and processor time are its
own. Pods have an MTU of 1376 everywhere, and the offloads that the kernel gives a veth.
"""
import json
import os
import subprocess

import rig as bench
from lib import figures

POD_MTU = 1376


class Weave:
    """Two weaved as a user starts them, pods on their bridges."""
    programs = ()
    options = ()
    address = "10.32.0.2"

    def __init__(self, rig, build):
        self.mesh = bench.Weavemesh(rig, build)
        self.mesh.start(1, *self.options)
        self.mesh.start(2, *self.options, "192.168.78.1")
        for i in rig.hosts():
            self.mesh.attach(i)
        rig.first_ping("p1", self.address)
        # Until the path is measured, superframes are cut smaller than they need be.
        bench.until(5, self._measured)

    def _measured(self):
        rows = [json.loads(self.mesh.control(i, "status", "peers", "-o", "json")) for i in (1, 2)]
        return all(peer["mtu"] >= 1500 for peers in rows for peer in peers)

    @classmethod
    def version(cls, build):
        """What the program calls itself. Raises when there is none that could run."""
        return bench.call(build / "src" / "daemon" / "weaved", "--version").split("\n", 1)[0]

    def pids(self):
        return self.mesh.pids()

    def stop(self):
        self.mesh.stop()


class WeaveOption(Weave):
    """The same router with an option that not every version has."""
    flag, name = "", ""

    @classmethod
    def version(cls, build):
        if f"`{cls.flag}" not in bench.call(build / "src" / "daemon" / "weaved", "--option-reference", "markdown"):
            raise bench.CannotRun(f"this weaved has no {cls.name}")
        return super().version(build)


class WeaveClear(WeaveOption):
    """Nothing is encrypted."""
    flag, name, options = "--clear", "clear mode", ("--clear",)


class WeaveXdp(WeaveOption):
    """Past the kernel's network stack, whether that is faster here or not."""
    flag, name, options = "--fast-path", "fast path", ("--fast-path", "af_xdp")


class Vxlan:
    """Kernel VXLAN between bridges, nothing encrypted: what the kernel alone can do."""
    programs = ()
    address = "10.32.0.2"

    def __init__(self, rig, _):
        self.rig = rig
        for i in rig.hosts():
            rig.link(f"h{i}", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789",
                     "local", f"192.168.78.{i}", "remote", f"192.168.78.{3 - i}")
            bridged_pod(rig, i, "vx0")
        rig.first_ping("p1", self.address)

    @classmethod
    def version(cls, _):
        return f"Linux {os.uname().release}"

    def pids(self):
        return []

    def stop(self):
        for i in self.rig.hosts():
            self.rig.link(f"h{i}", "delete", "vx0")


def connect(rig, i, address):
    """Joins pod i to its host by a veth pair, called "pod" on the host."""
    rig.link(f"h{i}", "add", "pod", "mtu", str(POD_MTU), "type", "veth",
             "peer", "name", "eth0", "mtu", str(POD_MTU), "netns", f"{rig.prefix}-p{i}")
    rig.link(f"h{i}", "set", "pod", "up")
    rig.ip(f"p{i}", "address", "add", address, "dev", "eth0")
    rig.link(f"p{i}", "set", "eth0", "up")


def bridged_pod(rig, i, device):
    """Pod i as 10.32.0.i on a bridge with the device that leads to the other host."""
    host = f"h{i}"
    rig.link(host, "add", "br0", "type", "bridge")
    rig.link(host, "set", device, "mtu", str(POD_MTU), "master", "br0", "up")
    connect(rig, i, f"10.32.0.{i}/24")
    rig.link(host, "set", "pod", "master", "br0")
    rig.link(host, "set", "br0", "up")


def routed_pod(rig, i, device):
    """Pod i as 10.33.i.2 behind its host, which reaches the other's pods by the device."""
    host, other = f"h{i}", 3 - i
    connect(rig, i, f"10.33.{i}.2/24")
    rig.ip(host, "address", "add", f"10.33.{i}.1/24", "dev", "pod")
    rig.ip(f"p{i}", "route", "add", "default", "via", f"10.33.{i}.1")
    rig.ip(host, "route", "replace", f"10.33.{other}.0/24", "dev", device)
    rig.call(host, "sysctl", "-qw", "net.ipv4.ip_forward=1")


def has_device(rig, i, device):
    shown = subprocess.run(["ip", "-n", f"{rig.prefix}-h{i}", "link", "show", device], capture_output=True, check=False)
    return shown.returncode == 0


def await_device(rig, i, device, owner):
    if not bench.until(8, lambda: has_device(rig, i, device)):
        raise bench.CannotRun(f"{owner} does not start: it made no device {device} within 8 s")


def classes():
    """By the name on the command line, in the order of the tables."""
    from lib import tunnels  # pylint: disable=import-outside-toplevel # it needs this module
    all_of_them = {
        "weavemesh": Weave, "weavemesh-clear": WeaveClear, "weavemesh-xdp": WeaveXdp, "vxlan": Vxlan,
        "prototype": tunnels.Prototype, "wireguard-go": tunnels.WireguardGo, "nebula": tunnels.Nebula, "tinc": tunnels.Tinc,
    }
    return {name: all_of_them[name] for name in figures.PEERS}
