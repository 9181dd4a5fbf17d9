# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What a router costs by how many peers it has: with two, and in a mesh of a thousand that `crowd` plays."""
import json
import pathlib
import statistics
import time
from dataclasses import dataclass

import rig as bench
from lib import measure as measuring

SETTLE_SECONDS = 5  # and no longer than what is watched
CROWD_HOST = "192.168.78.2"
FIRST_PORT = 20000
ACTIVE = 50


@dataclass(frozen=True)
class Spans:
    """Seconds to watch, and how many peers the crowd has."""
    idle: int
    active: int
    peers: int


SPANS = {"full": Spans(20, 10, 1000), "quick": Spans(3, 2, 1000), "tiny": Spans(1, 1, 60)}


def wake_ups(pid):
    """Voluntary context switches of all threads: how often the daemon slept."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for text in (task / "status").read_text().splitlines():
            if text.startswith("voluntary_ctxt_switches"):
                total += int(text.split()[1])
    return total


def watch(rig, mesh, seconds):
    """One row per router over the same span of time; its memory is that of all its processes."""
    pids = mesh.pids()
    before = {pid: (bench.thread_seconds(pid), wake_ups(pid)) for pid in pids}
    began = time.monotonic()
    time.sleep(seconds)
    span = time.monotonic() - began
    rows = []
    for i, pid in zip(mesh.running, pids):
        threads = bench.thread_seconds(pid)
        rows.append({
            "rss_mb": rig.memory(f"h{i}"),
            "cpu_percent": 100 * (sum(threads.values()) - sum(before[pid][0].values())) / span,
            "wake_ups_per_s": (wake_ups(pid) - before[pid][1]) / span,
            "threads_percent": {name: 100 * (used - before[pid][0].get(name, 0)) / span for name, used in threads.items()},
        })
    return rows


def two_peers(folder, spans):
    """Three hosts with a pod each, after a ping and some rest: a row of each router."""
    rig = bench.Rig(3)
    try:
        mesh = bench.Weavemesh(rig, folder)
        for i in rig.hosts():
            rig.pod(i)
            mesh.start(i, *(f"192.168.78.{other}" for other in range(1, i)))
            mesh.attach(i)
        for i in rig.hosts():
            rig.first_ping(f"p{i}", f"10.32.0.{i % 3 + 1}")
        time.sleep(min(SETTLE_SECONDS, spans.idle))
        rows = watch(rig, mesh, spans.idle)
        mesh.stop()
        return rows
    finally:
        rig.close()


def crowded(folder, spans):
    """One router that knows many peers: a row without traffic, and one while its pod talks to some of them."""
    rig = bench.Rig(2, ("ss",))
    tools = folder / "tests" / "bench" / "tools"
    try:
        rig.pod(1)
        mesh = bench.Weavemesh(rig, folder)
        crowd = rig.start("h2", tools / "crowd", mesh.token, CROWD_HOST, "192.168.78.1", "--nodes", spans.peers,
                          "--first-port", FIRST_PORT, stdout=bench.PIPE, stderr=bench.STDOUT)
        if (said := crowd.stdout.readline()) != "ready\n":
            raise bench.CannotRun(f"the crowd does not start: {said.strip()}")
        began = time.monotonic()
        mesh.start(1, f"{CROWD_HOST}:{FIRST_PORT}")
        if not bench.until(120, lambda: knows(mesh, spans.peers)):
            raise bench.CannotRun(f"the router does not come to know its {spans.peers} peers: "
                                  f"{json.loads(mesh.control(1, 'status', '-o', 'json'))}")
        joined = time.monotonic() - began
        mesh.attach(1)
        time.sleep(min(SETTLE_SECONDS, spans.idle))
        idle = watch(rig, mesh, spans.idle)[0]
        active = min(ACTIVE, spans.peers)
        talk = rig.start("p1", tools / "load", "ask", measuring.ASK_PORT, *(f"10.40.0.{i}" for i in range(active)),
                         "--seconds", 3600, "--pause", 0.0005, "--output", rig.folder / "round-trips", stdout=bench.PIPE)
        busy = watch(rig, mesh, spans.active)[0]
        talk.terminate()
        answered = json.loads(talk.communicate()[0])["answered"]
        if answered < active:
            raise bench.CannotRun(f"the crowd answered {answered} requests only")
        mesh.stop()
        return {"joined_s": joined, "idle": idle, "active": busy, "answered": answered}
    finally:
        rig.close()


def knows(mesh, peers):
    """Whether the router has a link to each peer and a direct path."""
    status = json.loads(mesh.control(1, "status", "-o", "json"))
    return status["peers_direct"] >= peers and status["connections_established"] >= peers


def measure(folder, spans):
    """Both, with figures for the targets and sentences for people."""
    few, many = two_peers(folder, spans), crowded(folder, spans)
    figures = {
        "rss_2_peers": max(row["rss_mb"] for row in few),
        "idle_cpu_2_peers": max(row["cpu_percent"] for row in few),
    }
    if spans.peers >= 1000:
        figures |= {"rss_1000_peers": many["active"]["rss_mb"], "idle_cpu_1000_peers": many["idle"]["cpu_percent"]}
    sentences = [
        f"An idle router with 2 peers: {figures['rss_2_peers']:.1f} MB, {figures['idle_cpu_2_peers']:.2f} % of a processor, "
        f"{statistics.median(row['wake_ups_per_s'] for row in few):.0f} wake-ups a second.",
        f"One that knows {spans.peers} peers, with a session and a link to each: {many['idle']['rss_mb']:.1f} MB, "
        f"{many['idle']['cpu_percent']:.1f} % of a processor without traffic; {many['active']['rss_mb']:.1f} MB while it talks "
        f"to {min(ACTIVE, spans.peers)} of them; it had joined after {many['joined_s']:.1f} s.",
    ]
    for sentence in sentences:
        print(sentence, flush=True)
    return {"two_peers": few, "crowd": many, "figures": figures, "sentences": sentences}
