# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Which way `--fast-path auto` ends on, start after start, and whether that was the slower one."""
import json

import rig as bench
from lib import figures, measure as measures, peers

DECIDED_SECONDS = 8  # of traffic, under which it tries both ways
SLOWER = 0.9
STARTS = {"full": 10, "quick": 1, "tiny": 1}


class WeaveAuto(peers.WeaveOption):
    """The router that chooses by itself."""
    flag, name, options = "--fast-path", "fast path", ("--fast-path", "auto")


def chosen(folder):
    """The way of the first host's underlay after one start: "sockets", or which kind of AF_XDP."""
    rig = bench.Rig(2)
    try:
        for i in rig.hosts():
            rig.pod(i)
        peer = WeaveAuto(rig, folder)
        measures.iperf(rig, peer.address, "-t", DECIDED_SECONDS)
        rows = json.loads(peer.mesh.control(1, "status", "-o", "json")).get("fast_paths") or []
        peer.stop()
        return rows[0]["path"] if rows else "sockets"
    finally:
        rig.close()


def slower(ways, medians):
    """How many of the ways are more than a tenth slower than the other one was in the rounds; None: not known."""
    rates = {name: medians.get(peer, {}).get("tcp1") for name, peer in (("sockets", "weavemesh"), ("fast", "weavemesh-xdp"))}
    if None in rates.values():
        return None
    taken = [("sockets", "fast") if way == "sockets" else ("fast", "sockets") for way in ways]
    return sum(1 for own, other in taken if rates[own] < SLOWER * rates[other])


def measure(folder, starts, rounds):
    """The starts, with a figure for the target and a sentence for people."""
    try:
        WeaveAuto.version(folder)
    except bench.CannotRun as why:
        return {"sentences": [f"Starts with --fast-path auto: skipped, {why}."]}
    ways = [chosen(folder) for _ in range(starts)]
    wrong = slower(ways, {peer: figures.medians(rows) for peer, rows in rounds.items()})
    sentence = f"{starts} starts with --fast-path auto ended on: {', '.join(sorted(set(ways)))}."
    print(sentence, flush=True)
    return {"ways": ways, "figures": {} if wrong is None else {"auto_slower": wrong}, "sentences": [sentence]}
