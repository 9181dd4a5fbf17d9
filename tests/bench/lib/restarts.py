# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What pods notice of a router's restart: planned ones under a paced TCP flow and pings, and kill -9."""
import json
import os
import signal
import statistics
import time
from dataclasses import dataclass

import rig as bench
from lib import figures, measure as measuring, peers

PINGS_PER_SECOND = 1000
PACE = "2G"
FIRST_SECONDS = 1.5  # until the flow has its pace


@dataclass(frozen=True)
class Counts:
    """How many restarts, and how many seconds are watched after each."""
    planned: int
    killed: int
    after_planned: float = 1
    after_kill: float = 3


COUNTS = {"full": Counts(20, 20), "quick": Counts(3, 2, after_kill=1.5), "tiny": Counts(1, 1, 0.3, 1)}


class Traffic:
    """Pings from pod 1 to pod 2 and, unless paced is None, one TCP flow beside them."""

    def __init__(self, rig, address, load, pace=PACE):
        self.rig = rig
        self.file = rig.folder / "pings"
        self.server = rig.start("p2", "iperf3", "-s", "-1", "-p", measuring.IPERF_PORT)
        measuring.listening(rig, "p2", measuring.IPERF_PORT)
        self.flow = rig.start("p1", "iperf3", "-J", "-C", measuring.CONGESTION, "-c", address, "-p", measuring.IPERF_PORT,
                              "-b", pace, "-t", 3600, stdout=bench.PIPE)
        self.pings = rig.start("p1", load, "ping", address, "--rate", PINGS_PER_SECOND, "--output", self.file)
        time.sleep(FIRST_SECONDS)

    def end(self):
        """Rows (sent, answered or 0) of the pings, in seconds; of the flow its Gbit/s and what was sent again; whether
        its connection lived."""
        self.rig.end(self.pings)
        alive = self.flow.poll() is None
        self.flow.send_signal(signal.SIGINT)
        said, _ = self.flow.communicate()
        self.rig.end(self.flow)
        self.rig.end(self.server)
        rows = [tuple(int(field) / 1e9 for field in line.split()[1:]) for line in self.file.read_text().splitlines()]
        sent = json.loads(said).get("end", {}).get("sum_sent", {})
        return rows, {"gbit": sent.get("bits_per_second", 0) / 1e9, "retransmits": sent.get("retransmits", 0)}, alive


def lost_within(rows, begin, end):
    return sum(1 for sent, answered in rows if begin <= sent < end and answered == 0)


def gaps(rows, windows):
    """The longest time without an answer in each window, in milliseconds."""
    answers = sorted(answered for _, answered in rows if answered)
    return [figures.longest_gap(answers, begin, end) * 1e3 for begin, end in windows]


def planned(folder, count, after):
    """Restarts by weave-launch, the hosts in turn, each followed by as long a time without one."""
    rig = bench.Rig(2, ("iperf3", "ss"))
    try:
        peer, traffic = begin(rig, folder)
        restarted, calm = [], []
        for number in range(count):
            started = time.monotonic()
            peer.mesh.restart(1 + number % 2)
            time.sleep(after)
            ended = time.monotonic()
            restarted.append((started, ended))
            time.sleep(ended - started)
            calm.append((ended, time.monotonic()))
        rows, flow, alive = traffic.end()
        peer.stop()
        return {"gaps_ms": gaps(rows, restarted), "gaps_without_ms": gaps(rows, calm), "sent": len(rows),
                "lost": sum(1 for _, answered in rows if not answered), "flow": flow, "connections_lost": 0 if alive else 1,
                "command_ms": [(ended - started - after) * 1e3 for started, ended in restarted]}
    finally:
        rig.close()


def killed(folder, count, after):
    """kill -9 of each host's router in turn, and at once the same command again, as a service manager does."""
    rig = bench.Rig(2, ("iperf3", "ss"))
    try:
        peer, traffic = begin(rig, folder)
        windows = []
        for number in range(count):
            started = time.monotonic()
            peer.mesh.kill_and_start(1 + number % 2)
            time.sleep(after)
            windows.append((started, time.monotonic()))
        rows, flow, alive = traffic.end()
        lost_at = [lost_within(rows, *window) for window in windows]
        peer.stop()
        return {"gaps_ms": gaps(rows, windows), "lost": lost_at, "sent": len(rows), "flow": flow,
                "connections_lost": 0 if alive else 1}
    finally:
        rig.close()


def begin(rig, folder):
    for i in rig.hosts():
        rig.pod(i)
    peer = peers.Weave(rig, folder)
    return peer, Traffic(rig, peer.address, folder / "tests" / "bench" / "tools" / "load")


def measure(folder, counts):
    """Both, with figures for the targets and sentences for people."""
    after_plan = planned(folder, counts.planned, counts.after_planned)
    after_kill = killed(folder, counts.killed, counts.after_kill)
    median = statistics.median
    found = {
        "restart_lost": after_plan["lost"], "restart_gap": median(after_plan["gaps_ms"]),
        "restart_gap_without": median(after_plan["gaps_without_ms"]),
        "restart_connections_lost": after_plan["connections_lost"],
        "kill_gap": median(after_kill["gaps_ms"]), "kill_connections_lost": after_kill["connections_lost"],
    }
    sentences = [
        f"{counts.planned} planned restarts under {after_plan['flow']['gbit']:.2f} Gbit/s of TCP and {PINGS_PER_SECOND} pings "
        f"a second: {after_plan['lost']} of {after_plan['sent']} pings lost, {after_plan['flow']['retransmits']} segments sent "
        f"again, {after_plan['connections_lost']} TCP connections lost; longest gap {spread(after_plan['gaps_ms'])}, without a "
        f"restart {spread(after_plan['gaps_without_ms'])}.",
        f"{counts.killed} times kill -9 and a new start under {after_kill['flow']['gbit']:.2f} Gbit/s: longest gap "
        f"{spread(after_kill['gaps_ms'])}, {median(after_kill['lost']):.0f} pings lost each time, "
        f"{after_kill['connections_lost']} TCP connections lost.",
    ]
    for sentence in sentences:
        print(sentence, flush=True)
    return {"planned": after_plan, "killed": after_kill, "figures": found, "sentences": sentences}


def spread(values):
    return f"{statistics.median(values):.1f} ms (median; greatest {max(values):.1f} ms)"
