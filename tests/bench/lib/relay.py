# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What two hosts carry through a third, that relays without reading, and what they carry once they see each other."""
import json
import statistics

import rig as bench
from lib import measure as measures

RELAY = 3
ROUNDS = {"full": 3, "quick": 1, "tiny": 1}
# Between the first two hosts nothing passes, on the wire.
CUT = "\n".join((
    "table netdev cut {",
    *(f"  chain from{i} {{ type filter hook ingress device to{i} priority 0; ip daddr 192.168.78.{3 - i} drop; }}"
      for i in (1, 2)),
    "}"))


class Trio:
    """Hosts 1 and 2 with a pod each, and the relay, to which both connect."""
    address = "10.32.0.2"

    def __init__(self, rig, folder):
        self.rig, self.mesh = rig, bench.Weavemesh(rig, folder)
        rig.call("lan", "nft", "-f", "-", input=CUT)
        self.mesh.start(RELAY)
        for i in (1, 2):
            rig.pod(i)
            self.mesh.start(i, f"192.168.78.{RELAY}")
            self.mesh.attach(i)
        self.await_path("relay")
        rig.first_ping("p1", self.address)

    def see_each_other(self):
        self.rig.call("lan", "nft", "delete", "table", "netdev", "cut")
        self.await_path("direct")

    def await_path(self, way):
        """Until both ends use it."""
        if not bench.until(40, lambda: all(self._uses(i, way) for i in (1, 2))):
            raise bench.CannotRun(f"the two hosts do not come to use the path: {way}")

    def _uses(self, i, way):
        peers = json.loads(self.mesh.control(i, "status", "peers", "-o", "json"))
        return any(peer["name"] == f"h{3 - i}" and peer["path"].startswith(way) for peer in peers)

    def relayed(self):
        """Datagrams passed on by the relay, and the calls that took."""
        lanes = json.loads(self.mesh.control(RELAY, "report"))["lanes"]
        return sum(lane["relayed"] for lane in lanes), sum(lane["sends"] for lane in lanes)


def one_round(folder, spans):
    """Gbit/s both ways, and what the relay did for it."""
    rig = bench.Rig(3, ("iperf3", "ss", "nft"))
    try:
        trio = Trio(rig, folder)
        before = bench.cpu_seconds([trio.mesh.pid(RELAY)]), trio.relayed()
        row, moved = measures.tcp(rig, trio, 1, spans)
        datagrams, sends = (now - then for now, then in zip(trio.relayed(), before[1]))
        if datagrams < moved * 1e9 / 1500:
            raise bench.CannotRun(f"the relay passed on {datagrams} datagrams only")
        out = {"relayed": row["tcp1"], "datagrams_per_send": datagrams / sends,
               "relay_cpu": (bench.cpu_seconds([trio.mesh.pid(RELAY)]) - before[0]) / moved}
        trio.see_each_other()
        out["direct"] = measures.tcp(rig, trio, 1, spans)[0]["tcp1"]
        trio.mesh.stop()
        return out
    finally:
        rig.close()


def measure(folder, rounds, spans):
    """Rounds, with figures and a sentence for people."""
    rows = [one_round(folder, spans) for _ in range(rounds)]
    middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    sentence = (f"Through a relay, over one bridge: {middle['relayed']:.2f} Gbit/s of one flow, where the two hosts carry "
                f"{middle['direct']:.2f} directly; the relay took {middle['relay_cpu']:.2f} s of a processor per GB and passed on "
                f"{middle['datagrams_per_send']:.0f} datagrams a call.")
    print(sentence, flush=True)
    return {"rows": rows, "figures": {"relay_tcp1": middle["relayed"], "relay_cpu": middle["relay_cpu"]}, "sentences": [sentence]}
