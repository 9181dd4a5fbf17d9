# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What weavemesh is to reach, as data, and whether it did."""
from dataclasses import dataclass
from typing import Optional

from lib import figures

MET, MISSED, NOT_MEASURED = "met", "missed", "not measured"
SYMBOLS = {"at least": ">=", "at most": "<=", "below": "<"}


@dataclass(frozen=True)
class Target:
    """A bound for a figure of ours.

    against: a peer; "user space", the best of those peers; or another figure of ours; then the bound is a ratio, unless
    `plus` is given, which makes it limit * theirs + plus. Without `against` the limit is a value.
    """
    text: str
    key: str
    sense: str
    limit: float
    against: Optional[str] = None
    plus: Optional[float] = None
    unit: str = ""


TARGETS = (
    Target("TCP, one flow, against the limit prototype", "tcp1", "at least", 1.0, "prototype"),
    Target("TCP, one flow, against kernel VXLAN in clear", "tcp1", "at least", 0.33, "vxlan"),
    Target("TCP, one flow, against kernel VXLAN in clear: the goal", "tcp1", "at least", 0.40, "vxlan"),
    Target("TCP, one flow, against wireguard-go", "tcp1", "at least", 12, "wireguard-go"),
    Target("TCP, one flow, against our clear mode", "tcp1", "at least", 0.80, "weavemesh-clear"),
    Target("TCP, 4 flows, against the limit prototype", "tcp4", "at least", 1.0, "prototype"),
    Target("TCP, 4 flows, against kernel VXLAN in clear", "tcp4", "at least", 0.33, "vxlan"),
    Target("TCP, 4 flows, against wireguard-go", "tcp4", "at least", 12, "wireguard-go"),
    Target("TCP, 4 flows, against our clear mode", "tcp4", "at least", 0.80, "weavemesh-clear"),
    Target("TCP, 4 flows, against one flow", "tcp4", "at least", 1.0, "tcp1"),
    Target("retransmits per GB, one flow, 10 times VXLAN's and 50", "retransmits1_per_gb", "at most", 10, "vxlan", 50),
    Target("retransmits per GB, 4 flows, 10 times VXLAN's and 50", "retransmits4_per_gb", "at most", 10, "vxlan", 50),
    Target("64-byte UDP received, against kernel VXLAN in clear", "udp64", "at least", 0.9, "vxlan"),
    Target("64-byte UDP received, against the best user-space peer", "udp64", "at least", 1.2, "user space"),
    Target("round trip p50, against the limit prototype", "idle_p50", "at most", 1.0, "prototype"),
    Target("round trip p50, against the best user-space peer", "idle_p50", "below", 1.0, "user space"),
    Target("round trip p99 under a flow, against the best user-space peer", "loaded_p99", "below", 1.0, "user space"),
    Target("round trip p99 under a flow, against kernel VXLAN in clear", "loaded_p99", "at most", 3.0, "vxlan"),
    Target("processor of the routers per GB, against the best user-space peer", "router_cpu", "below", 1.0, "user space"),
    Target("memory of a router with 2 peers", "rss_2_peers", "below", 40, unit="MB"),
    Target("processor of an idle router with 2 peers", "idle_cpu_2_peers", "below", 0.5, unit="%"),
    Target("memory of a router that knows 1,000 peers, 50 of them active", "rss_1000_peers", "below", 60, unit="MB"),
    Target("planned restarts under traffic: packets lost in all", "restart_lost", "at most", 0),
    Target("planned restarts under traffic: median of the longest gap", "restart_gap", "below", 20, unit="ms"),
    Target("planned restarts under traffic: TCP connections lost", "restart_connections_lost", "at most", 0),
    Target("kill -9 and a new start: median of the longest gap", "kill_gap", "below", 300, unit="ms"),
    Target("kill -9 and a new start: TCP connections lost", "kill_connections_lost", "at most", 0),
    Target("starts with --fast-path auto that ended on a way more than 10 % slower", "auto_slower", "at most", 0),
)


def reference(target: Target, medians: dict) -> Optional[float]:
    """What the limit is a multiple of; None when it was not measured."""
    if target.against is None:
        return 1.0
    if target.against == "user space":
        known = [medians[peer][target.key] for peer in figures.USER_SPACE if target.key in medians.get(peer, {})]
        best = max if figures.BY_KEY[target.key].more_is_better else min
        return best(known) if known else None
    if target.against in figures.PEERS:
        return medians.get(target.against, {}).get(target.key)
    return medians.get(figures.OURS, {}).get(target.against)


def judge(target: Target, medians: dict) -> dict:
    """Text, figure, bound and verdict of one target."""
    ours, theirs = medians.get(figures.OURS, {}).get(target.key), reference(target, medians)
    limit, value, unit = target.limit, ours, target.unit
    if target.plus is not None and theirs is not None:
        limit = target.limit * theirs + target.plus
    elif target.against is not None and target.plus is None:
        value, unit = figures.ratio(ours, theirs), "times"
    verdict = NOT_MEASURED
    if value is not None and theirs is not None:
        reached = {"at least": value >= limit, "at most": value <= limit, "below": value < limit}[target.sense]
        verdict = MET if reached else MISSED
    return {"text": target.text, "value": value, "sense": target.sense, "limit": limit, "unit": unit, "verdict": verdict}


def judge_all(medians: dict) -> list:
    return [judge(target, medians) for target in TARGETS]


def sentence(judged: dict) -> str:
    """Text, figure and bound of a judged target."""
    bound = f"{SYMBOLS[judged['sense']]} {judged['limit']:g} {judged['unit']}".strip()
    if judged["verdict"] == NOT_MEASURED:
        return f"{judged['text']}: target {bound}"
    return f"{judged['text']}: {number(judged['value'])} {judged['unit']}".rstrip() + f", target {bound}"


def line(judged: dict) -> str:
    """The verdict in a column before it."""
    return f"{judged['verdict']:<12}  {sentence(judged)}"


def number(value: float) -> str:
    """As many digits as say something."""
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
