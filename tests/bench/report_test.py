#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What compare does with its samples: arithmetic, verdicts, tables, plot and report. Nothing is measured here."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

from lib import figures, paths, plot, report, table, targets

COMPARE = pathlib.Path(__file__).resolve().parent / "compare"
SVG = "{http://www.w3.org/2000/svg}"


def samples():
    """Two rounds of three peers, and one that was skipped."""
    return {
        "weavemesh": [{"tcp1": 8.0, "tcp4": 9.0, "udp64": 500.0, "idle_p50": 30.0, "loaded_p99": 200.0, "router_cpu": 1.2,
                       "retransmits1_per_gb": 70.0},
                      {"tcp1": 9.0, "tcp4": 9.5, "udp64": 520.0, "idle_p50": 32.0, "loaded_p99": 210.0, "router_cpu": 1.3,
                       "retransmits1_per_gb": 90.0}],
        "vxlan": [{"tcp1": 20.0, "udp64": 600.0, "idle_p50": 20.0, "loaded_p99": 100.0, "retransmits1_per_gb": 2.0},
                  {"tcp1": 18.0, "udp64": 580.0, "idle_p50": 22.0, "loaded_p99": 110.0, "retransmits1_per_gb": 4.0}],
        "wireguard-go": [{"tcp1": 0.4, "udp64": 90.0, "idle_p50": 31.0, "loaded_p99": 5000.0, "router_cpu": 30.0},
                         {"tcp1": 0.5, "udp64": 95.0, "idle_p50": 30.0, "loaded_p99": 6000.0, "router_cpu": 31.0}],
    }


def made():
    return report.finish({
        "schema": report.SCHEMA, "command": "sudo tests/bench/compare", "date": "2026-01-02T03:04:05+00:00",
        "machine": {"model": "A & B <C>", "processors": 2, "kernel": "6.1", "load": 0.5}, "build": {}, "options": {},
        "congestion": {"default": "bbr", "used": "cubic"}, "versions": {}, "skipped": {"tinc": "tincd is not installed"},
        "rounds": samples(), "offloads": {}, "relay": {}, "mesh": {}, "paths": {},
        "restarts": {"figures": {"restart_lost": 0, "restart_gap": 20.0}},
        "wall_seconds": 1.5})


def verdict(text):
    found = [judged for judged in made()["targets"] if judged["text"] == text]
    assert len(found) == 1, text
    return found[0]


class Arithmetic(unittest.TestCase):
    def test_percentiles_are_nearest_ranks(self):
        values = list(range(100, 0, -1))
        self.assertEqual([figures.percentile(values, share) for share in (0, 0.5, 0.99, 1)], [1, 50, 99, 100])
        self.assertEqual(figures.percentile([7], 0.999), 7)

    def test_medians_leave_out_rounds_without_the_figure(self):
        self.assertEqual(figures.medians([{"a": 1, "b": 5}, {"a": 3}]), {"a": 2, "b": 5})

    def test_ratios(self):
        ratios = made()["ratios"]
        self.assertAlmostEqual(ratios["vxlan"]["tcp1"], 8.5 / 19)
        self.assertNotIn("tcp4", ratios["vxlan"])
        self.assertIsNone(figures.ratio(1.0, 0.0))
        self.assertIsNone(figures.ratio(None, 1.0))

    def test_longest_gap_counts_the_edges(self):
        self.assertAlmostEqual(figures.longest_gap([1, 2, 2.5, 4], 0, 5), 1.5)
        self.assertAlmostEqual(figures.longest_gap([1, 9], 3, 5), 2)
        self.assertAlmostEqual(figures.longest_gap([3.5], 3, 6), 2.5)


class Targets(unittest.TestCase):
    def test_ratio_to_a_peer(self):
        judged = verdict("TCP, one flow, against kernel VXLAN in clear")
        self.assertAlmostEqual(judged["value"], 8.5 / 19)
        self.assertEqual(judged["verdict"], targets.MET)
        self.assertEqual(verdict("64-byte UDP received, against kernel VXLAN in clear")["verdict"], targets.MISSED)

    def test_best_of_the_user_space_peers(self):
        self.assertEqual(verdict("64-byte UDP received, against the best user-space peer")["verdict"], targets.MET)
        self.assertEqual(verdict("round trip p50, against the best user-space peer")["verdict"], targets.MISSED)

    def test_times_and_plus(self):
        judged = verdict("retransmits per GB, one flow, 10 times VXLAN's and 50")
        self.assertEqual((judged["limit"], judged["value"], judged["verdict"]), (80.0, 80.0, targets.MET))

    def test_another_figure_of_ours(self):
        self.assertEqual(verdict("TCP, 4 flows, against one flow")["verdict"], targets.MET)

    def test_values_and_what_was_not_measured(self):
        self.assertEqual(verdict("planned restarts under traffic: packets lost in all")["verdict"], targets.MET)
        self.assertEqual(verdict("planned restarts under traffic: median of the longest gap")["verdict"], targets.MISSED)
        self.assertEqual(verdict("TCP, one flow, against the limit prototype")["verdict"], targets.NOT_MEASURED)

    def test_each_names_what_is_measured(self):
        for target in targets.TARGETS:
            self.assertIn(target.sense, targets.SYMBOLS)
            if target.against is not None:
                self.assertIn(target.key, figures.BY_KEY, target.text)
                self.assertIn(target.against, (*figures.PEERS, "user space", *figures.BY_KEY), target.text)

    def test_lines(self):
        text = "\n".join(targets.line(judged) for judged in made()["targets"])
        self.assertIn("met           TCP, one flow, against kernel VXLAN in clear: 0.45 times, target >= 0.33 times", text)
        self.assertIn("missed        planned restarts under traffic: median of the longest gap: 20 ms, target < 20 ms", text)
        self.assertIn("not measured  TCP, one flow, against the limit prototype: target >= 1 times", text)


class Paths(unittest.TestCase):
    def test_only_a_clearly_slower_way_counts(self):
        medians = {"weavemesh": {"tcp1": 10.0}, "weavemesh-xdp": {"tcp1": 8.0}}
        self.assertEqual(paths.slower(["sockets", "af_xdp native copy", "sockets"], medians), 1)
        medians["weavemesh-xdp"]["tcp1"] = 10.5
        self.assertEqual(paths.slower(["sockets", "af_xdp native copy"], medians), 0)
        self.assertIsNone(paths.slower(["sockets"], {"weavemesh": {"tcp1": 10.0}}))


class Tables(unittest.TestCase):
    def test_text_has_a_column_a_peer_and_a_row_a_figure(self):
        lines = table.text(table.rows(made()["medians"])).splitlines()
        self.assertEqual(lines[0].split(), ["kernel"])
        self.assertEqual(lines[2].split(), ["median", "weavemesh", "clear", "wireguard-go"])
        self.assertIn(["TCP,", "one", "flow", "Gbit/s", "8.50", "19.00", "0.45"], [line.split() for line in lines])
        self.assertEqual(len({len(line) for line in lines[2:]}), 1)
        self.assertEqual([line.split()[-1] for line in lines if line.startswith("TCP, 4 flows")], ["-"])

    def test_markdown_is_rectangular(self):
        for cells in (table.rows(made()["medians"]), table.ratio_rows(made()["ratios"])):
            self.assertEqual(len({line.count("|") for line in table.markdown(cells).splitlines()}), 1)


class Plot(unittest.TestCase):
    def test_bars_stay_inside_and_are_to_scale(self):
        root = xml.fromstring(report.picture(made()))
        width = float(root.get("width"))
        bars = [bar for bar in root.iter(f"{SVG}rect") if "bar" in bar.get("class")]
        for bar in bars:
            self.assertLessEqual(float(bar.get("x")) + float(bar.get("width")), width)
        ours, theirs = (float(bar.get("width")) for bar in bars[:2])
        self.assertAlmostEqual(ours / theirs, 8.5 / 19, places=2)
        self.assertIn("A & B <C>", "".join(root.itertext()))

    def test_nothing_measured_is_no_failure(self):
        xml.fromstring(plot.svg({}, {}, "head", "foot"))


class Reports(unittest.TestCase):
    def test_written_and_read_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "new" / "compare.json"
            report.write(made(), path)
            self.assertEqual(report.read(path), json.loads(json.dumps(made())))
            xml.fromstring(path.with_suffix(".svg").read_text(encoding="utf-8"))

    def test_broken_ones_are_refused(self):
        for change in ({"schema": 2}, {"rounds": None}, {"targets": {}}):
            with self.assertRaises(report.Unreadable):
                report.check({**made(), **change})
        with self.assertRaises(report.Unreadable):
            report.check([])

    def test_text_says_what_was_skipped(self):
        self.assertIn("tinc: skipped, tincd is not installed.", report.text(made()))
        self.assertIn("default is bbr", report.text(made()))

    def test_the_readme_keeps_the_rest(self):
        part = report.readme_part(made(), "docs/compare.svg")
        readme = report.put_into(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", part)
        self.assertTrue(readme.startswith("before\n") and readme.endswith("after\n") and "old" not in readme)
        self.assertEqual(report.put_into(readme, part), readme)
        with self.assertRaises(report.Unreadable):
            report.put_into("no marks", part)

    def test_finishing_twice_changes_nothing(self):
        once = made()
        self.assertEqual(report.finish(copy.deepcopy(once)), once)


class CommandLine(unittest.TestCase):
    def refused(self, *words):
        done = subprocess.run([sys.executable, COMPARE, *words], capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr.splitlines()[-1]

    def test_bad_words_are_named(self):
        self.assertIn("openvpn is none of weavemesh, ", self.refused("--peers", "vxlan,openvpn"))
        self.assertIn("'0' is no number of at least 1", self.refused("--rounds", "0"))

    def test_without_a_report_there_is_no_readme(self):
        said = self.refused("--readme", "--output", "/nonexistent/compare.json")
        self.assertIn("/nonexistent/compare.json", said)
        self.assertIn("run tests/bench/compare first", said)


if __name__ == "__main__":
    unittest.main()
