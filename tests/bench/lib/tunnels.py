# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""The user-space programs of others that weavemesh is compared with."""
import os
import pathlib
import shutil
import subprocess
import time

import rig as bench
from lib.peers import await_device, bridged_pod, routed_pod


class Program:
    """What they have in common: one process a host."""
    programs = ()

    def __init__(self, rig):
        self.rig = rig
        self.routers = []

    def pids(self):
        return [router.pid for router in self.routers]

    def stop(self):
        for router in self.routers:
            self.rig.end(router)


class Prototype(Program):
    """A throwaway program that does the least a sealed tunnel has to, built from WEAVE_BENCH_RIG/limit.cpp."""
    address = "10.32.0.2"
    cipher = 4  # AES-256-GCM by libipsec-mb
    binary = None

    def __init__(self, rig, _):
        super().__init__(rig)
        for i in rig.hosts():
            self.routers.append(rig.start(f"h{i}", self.binary, "limit", f"192.168.78.{i}", f"192.168.78.{3 - i}",
                                          self.cipher))
            await_device(rig, i, "limit", "the limit prototype")
            bridged_pod(rig, i, "limit")
        rig.first_ping("p1", self.address)

    @classmethod
    def version(cls, build):
        """Builds it, into the folder of the benchmark's build."""
        folder = os.environ.get("WEAVE_BENCH_RIG")
        if not folder:
            raise bench.CannotRun("WEAVE_BENCH_RIG does not name the folder with limit.cpp")
        source = pathlib.Path(folder) / "limit.cpp"
        if not source.is_file():
            raise bench.CannotRun(f"{source}, named by WEAVE_BENCH_RIG, is missing")
        cls.binary = build / "limit-prototype"
        if not cls.binary.exists() or cls.binary.stat().st_mtime < source.stat().st_mtime:
            try:
                bench.call("g++", "-O3", "-std=c++20", "-march=native", source, "-o", cls.binary, "-lsodium", "-lcrypto",
                           "-lIPSec_MB", "-lpthread")
            except (OSError, subprocess.CalledProcessError) as failed:
                raise bench.CannotRun(f"{source} cannot be compiled: install-deps bench has what it needs") from failed
        return "AES-256-GCM by libipsec-mb"


class WireguardGo(Program):
    """Debian's wireguard-go between the hosts, pods routed over it."""
    programs = ("wireguard-go", "wg")
    address = "10.33.2.2"

    def __init__(self, rig, _):
        super().__init__(rig)
        self.keys = {}
        for i in rig.hosts():
            private = bench.call("wg", "genkey")
            (rig.folder / f"wg{i}").write_text(private)
            self.keys[i] = bench.call("wg", "pubkey", input=private).strip()
        for i in rig.hosts():
            self._host(i)
        rig.first_ping("p1", self.address)

    def _host(self, i):
        rig, host, other = self.rig, f"h{i}", 3 - i
        name = f"{rig.prefix}w{i}"  # the control socket's name too, which is the machine's
        control = pathlib.Path(f"/var/run/wireguard/{name}.sock")
        rig.litter.append(control)
        self.routers.append(rig.start(host, "wireguard-go", "-f", name,
                                      env={**os.environ, "WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "error"}))
        if not bench.until(5, control.exists):
            raise bench.CannotRun("wireguard-go does not start")
        rig.call(host, "wg", "set", name, "listen-port", "51820", "private-key", rig.folder / f"wg{i}",
                 "peer", self.keys[other], "allowed-ips", "0.0.0.0/0", "endpoint", f"192.168.78.{other}:51820")
        rig.link(host, "set", name, "mtu", "1420", "up")
        routed_pod(rig, i, name)

    @classmethod
    def version(cls, _):
        return debian_version("wireguard-go")


class Nebula(Program):
    """Debian's nebula, the first host as lighthouse, pods routed over it; AES-256-GCM."""
    programs = ("nebula", "nebula-cert")
    address = "10.33.2.2"

    def __init__(self, rig, _):
        super().__init__(rig)
        bench.call("nebula-cert", "ca", "-name", "bench", cwd=rig.folder)
        for i in rig.hosts():
            bench.call("nebula-cert", "sign", "-name", f"h{i}", "-ip", f"10.99.0.{i}/24", "-subnets", f"10.33.{i}.0/24",
                       cwd=rig.folder)
            (rig.folder / f"nebula{i}.yml").write_text(self._configuration(i))
            self.routers.append(rig.start(f"h{i}", "nebula", "-config", rig.folder / f"nebula{i}.yml"))
        for i in rig.hosts():
            await_device(rig, i, "nebula", "nebula")
            routed_pod(rig, i, "nebula")
        rig.first_ping("p1", self.address, seconds=20)

    def _configuration(self, i):
        other, folder = 3 - i, self.rig.folder
        anything = "{port: any, proto: any, host: any}"
        return "\n".join((
            f"pki: {{ca: {folder}/ca.crt, cert: {folder}/h{i}.crt, key: {folder}/h{i}.key}}",
            f'static_host_map: {{"10.99.0.{other}": ["192.168.78.{other}:4242"]}}',
            "lighthouse: {am_lighthouse: true}" if i == 1 else 'lighthouse: {am_lighthouse: false, hosts: ["10.99.0.1"]}',
            "listen: {host: 0.0.0.0, port: 4242, batch: 64, read_buffer: 10485760, write_buffer: 10485760}",
            "cipher: aes",
            f"tun: {{dev: nebula, mtu: 1400, unsafe_routes: [{{route: 10.33.{other}.0/24, via: 10.99.0.{other}}}]}}",
            "logging: {level: error}",
            f"firewall: {{outbound: [{anything}], inbound: [{anything}]}}",
            ""))

    @classmethod
    def version(cls, _):
        return debian_version("nebula")


class Tinc(Program):
    """Debian's tinc in switch mode, pods on bridges; AES-256-CBC with SHA-256."""
    programs = ("tincd",)
    address = "10.32.0.2"
    settle_seconds = 3  # it measures the path before it uses UDP in full size

    def __init__(self, rig, _):
        super().__init__(rig)
        for i in rig.hosts():
            self._files(i)
        for i in rig.hosts():
            shutil.copy(rig.folder / f"tinc{i}" / "hosts" / f"h{i}", rig.folder / f"tinc{3 - i}" / "hosts")
        for i in rig.hosts():
            folder = rig.folder / f"tinc{i}"
            self.routers.append(rig.start(f"h{i}", "tincd", "-c", folder, "-D", f"--pidfile={folder}/pid"))
        for i in rig.hosts():
            await_device(rig, i, "tinc", "tinc")
            bridged_pod(rig, i, "tinc")
        rig.first_ping("p1", self.address)
        time.sleep(self.settle_seconds)

    def _files(self, i):
        folder = self.rig.folder / f"tinc{i}"
        (folder / "hosts").mkdir(parents=True)
        (folder / "tinc.conf").write_text(
            f"Name = h{i}\nMode = switch\nInterface = tinc\nConnectTo = h{3 - i}\n"
            "UDPRcvBuf = 4194304\nUDPSndBuf = 4194304\n")
        (folder / "hosts" / f"h{i}").write_text(
            f"Address = 192.168.78.{i}\nCipher = aes-256-cbc\nDigest = sha256\nCompression = 0\n")
        bench.call("tincd", "-c", folder, "-K2048", stdin=subprocess.DEVNULL)

    @classmethod
    def version(cls, _):
        return debian_version("tinc")


def debian_version(package):
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False)
    return f"Debian {shown.stdout}" if shown.returncode == 0 and shown.stdout else "of unknown version"
