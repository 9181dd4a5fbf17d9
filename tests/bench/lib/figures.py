# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""The figures that compare takes, and the arithmetic on them. Nothing here touches the machine."""
import statistics
from typing import NamedTuple, Optional

OURS = "weavemesh"
PEERS = {
    "weavemesh": "weavemesh",
    "weavemesh-clear": "weavemesh, clear",
    "weavemesh-xdp": "weavemesh, AF_XDP",
    "vxlan": "kernel VXLAN, clear",
    "prototype": "limit prototype",
    "wireguard-go": "wireguard-go",
    "nebula": "nebula",
    "tinc": "tinc",
}
# Programs that others run in user space; the prototype is a yardstick and no router.
USER_SPACE = ("wireguard-go", "nebula", "tinc")


class Figure(NamedTuple):
    """One thing that is measured of a peer in each round."""
    key: str
    title: str
    unit: str
    digits: int
    more_is_better: bool


FIGURES = (
    Figure("tcp1", "TCP, one flow", "Gbit/s", 2, True),
    Figure("tcp4", "TCP, 4 flows", "Gbit/s", 2, True),
    Figure("tcp16", "TCP, 16 flows", "Gbit/s", 2, True),
    Figure("tcp_both", "TCP, both directions at once", "Gbit/s", 2, True),
    Figure("retransmits1_per_gb", "retransmits, one flow", "per GB", 1, False),
    Figure("retransmits4_per_gb", "retransmits, 4 flows", "per GB", 1, False),
    Figure("udp64", "UDP received, 64 bytes", "kpps", 1, True),
    Figure("udp512", "UDP received, 512 bytes", "kpps", 1, True),
    Figure("udp1372", "UDP received, 1372 bytes", "kpps", 1, True),
    Figure("idle_p50", "round trip, p50", "us", 1, False),
    Figure("idle_p99", "round trip, p99", "us", 1, False),
    Figure("idle_p999", "round trip, p99.9", "us", 1, False),
    Figure("loaded_p50", "round trip under a flow, p50", "us", 0, False),
    Figure("loaded_p99", "round trip under a flow, p99", "us", 0, False),
    Figure("loaded_p999", "round trip under a flow, p99.9", "us", 0, False),
    Figure("router_cpu", "processor, both routers", "s/GB", 3, False),
    Figure("machine_cpu", "processor, whole machine", "s/GB", 3, False),
    Figure("rss", "memory of a router", "MB", 1, False),
)
BY_KEY = {figure.key: figure for figure in FIGURES}


def percentile(values: list, share: float) -> float:
    """The nearest rank: the least value that at least that share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))]


def medians(rows: list) -> dict:
    """Of each figure over the rounds that have it."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: statistics.median(row[key] for row in rows if key in row) for key in keys}


def ratio(ours: Optional[float], theirs: Optional[float]) -> Optional[float]:
    """None where one is missing, or there is nothing to divide by."""
    return None if ours is None or not theirs else ours / theirs


def ratios(medians_of: dict) -> dict:
    """Ours over theirs, of each other peer and figure."""
    ours = medians_of.get(OURS, {})
    out = {}
    for peer, theirs in medians_of.items():
        if peer != OURS:
            both = {key: ratio(value, theirs.get(key)) for key, value in ours.items() if key in BY_KEY}
            out[peer] = {key: value for key, value in both.items() if value is not None}
    return out


def longest_gap(times: list, begin: float, end: float) -> float:
    """The longest time without one of `times` (sorted) between begin and end."""
    inside = [time for time in times if begin < time < end]
    edges = [begin, *inside, end]
    return max(after - before for before, after in zip(edges, edges[1:]))
