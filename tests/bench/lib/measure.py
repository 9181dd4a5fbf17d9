# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured of one peer in one turn. Figures are those of the receiving side; see figures.FIGURES."""
import json
import time

import rig as bench
from lib import figures

IPERF_PORT, ASK_PORT, UDP_PORT = 5301, 5302, 5303
CONGESTION = "cubic"
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
UDP_BYTES = (64, 512, 1372)
# Equal on all pods, or the comparison is unfair.
OFFLOADS = ("tx-checksumming", "scatter-gather", "tcp-segmentation-offload", "generic-segmentation-offload",
            "generic-receive-offload", "tx-udp-segmentation")


class Spans:
    """How long each measurement takes, in seconds; warm_up is what of TCP is left out before."""

    def __init__(self, tcp, udp, idle, loaded, warm_up=1):
        self.tcp, self.udp, self.idle, self.loaded, self.warm_up = tcp, udp, idle, loaded, warm_up


def listening(rig, name, port, udp=False):
    """Waits for a server in a pod."""
    if not bench.until(5, lambda: rig.call(name, "ss", "-Hlun" if udp else "-Hltn", f"sport = :{port}").strip()):
        raise bench.CannotRun(f"nothing listens on port {port} of pod {name}")


def iperf(rig, address, *words):
    """One iperf3 run from pod 1 to pod 2; its report."""
    server = rig.start("p2", "iperf3", "-s", "-1", "-p", IPERF_PORT)
    listening(rig, "p2", IPERF_PORT)
    try:
        return json.loads(rig.call("p1", "iperf3", "-J", "-C", CONGESTION, "-c", address, "-p", IPERF_PORT, *words))
    finally:
        rig.end(server)


def gigabytes(report):
    """All that was sent, the warm-up included."""
    return sum(part["sum"]["bytes"] for part in report["intervals"]) / 1e9


def tcp(rig, peer, flows, spans):
    """Gbit/s without the warm-up, and segments sent again per GB."""
    report = iperf(rig, peer.address, "-t", spans.tcp, "-O", spans.warm_up, "-P", flows)
    sent = report["end"]["sum_sent"]
    row = {f"tcp{flows}": report["end"]["sum_received"]["bits_per_second"] / 1e9}
    if flows <= 4:
        row[f"retransmits{flows}_per_gb"] = sent.get("retransmits", 0) / max(sent["bytes"] / 1e9, 1e-9)
    return row, gigabytes(report)


def tcp_with_costs(rig, peer, spans):
    """One flow, and what all of it cost the processor and took of memory."""
    before = bench.cpu_seconds(peer.pids()), bench.machine_seconds()
    row, moved = tcp(rig, peer, 1, spans)
    row["machine_cpu"] = (bench.machine_seconds() - before[1]) / moved
    if peer.pids():
        row["router_cpu"] = (bench.cpu_seconds(peer.pids()) - before[0]) / moved
        row["rss"] = max(rig.memory(f"h{i}") for i in rig.hosts())
    return row


def both_directions(rig, peer, spans):
    """A flow each way at the same time: the sum."""
    end = iperf(rig, peer.address, "-t", spans.tcp, "-O", spans.warm_up, "--bidir")["end"]
    return {"tcp_both": sum(end[name]["bits_per_second"] for name in ("sum_received", "sum_received_bidir_reverse")) / 1e9}


def udp(rig, peer, load, size, seconds):
    """Datagrams a second at the receiver's socket while the sender sends all it can."""
    warm_up = min(0.5, seconds)
    counter = rig.start("p2", load, "sink", UDP_PORT, "--seconds", seconds, "--warm-up", warm_up, stdout=bench.PIPE)
    listening(rig, "p2", UDP_PORT, udp=True)
    sender = rig.start("p1", load, "flood", peer.address, UDP_PORT, "--bytes", size, "--seconds", seconds + warm_up + 2,
                       stdout=bench.PIPE)
    counted, _ = counter.communicate()
    sender.terminate()
    sent, _ = sender.communicate()
    rig.end(sender)
    rig.end(counter)
    return {f"udp{size}": json.loads(counted)["per_second"] / 1e3, f"udp{size}_sent": json.loads(sent)["per_second"] / 1e3}


def ask(rig, peer, load, seconds, name):
    """Round trips of one request after the other."""
    server = rig.start("p2", load, "answer", ASK_PORT)
    listening(rig, "p2", ASK_PORT, udp=True)
    file = rig.folder / "round-trips"
    rig.call("p1", load, "ask", ASK_PORT, peer.address, "--seconds", seconds, "--output", file)
    rig.end(server)
    times = [float(line) for line in file.read_text().split()]
    if not times:
        raise bench.CannotRun("no request was answered")
    return {f"{name}_{key}": figures.percentile(times, share) for key, share in PERCENTILES.items()}


def ask_under_flow(rig, peer, load, seconds):
    """The same while one TCP flow takes all it can."""
    server = rig.start("p2", "iperf3", "-s", "-1", "-p", IPERF_PORT)
    listening(rig, "p2", IPERF_PORT)
    flow = rig.start("p1", "iperf3", "-C", CONGESTION, "-c", peer.address, "-p", IPERF_PORT, "-t", 3600)
    time.sleep(1)
    row = ask(rig, peer, load, seconds, "loaded")
    if flow.poll() is not None:
        raise bench.CannotRun("the flow ended while requests were sent")
    rig.end(flow)
    rig.end(server)
    return row


def offloads(rig):
    """Of each pod's interface, as ethtool names them."""
    out = {}
    for i in rig.hosts():
        shown = dict(line.split(": ", 1) for line in rig.call(f"p{i}", "ethtool", "-k", "eth0").splitlines() if ": " in line)
        out[f"p{i}"] = {name: shown.get(name, "").strip() for name in OFFLOADS if name in (key.strip() for key in shown)}
    return out


def everything(rig, peer, load, spans):
    """One turn of one peer."""
    row = tcp_with_costs(rig, peer, spans)
    for flows in (4, 16):
        row |= tcp(rig, peer, flows, spans)[0]
    row |= both_directions(rig, peer, spans)
    for size in UDP_BYTES:
        row |= udp(rig, peer, load, size, spans.udp)
    row |= ask(rig, peer, load, spans.idle, "idle")
    return row | ask_under_flow(rig, peer, load, spans.loaded)
