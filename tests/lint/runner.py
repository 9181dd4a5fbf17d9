#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when tests/run or .ci/run calls a run good that was not: both are run with a meson that is told what to do."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import common

ROOT = pathlib.Path(sys.argv[1])
OK = '{"name": "one", "result": "OK"}\n'
FAIL = '{"name": "two", "result": "FAIL", "returncode": -9, "duration": 2.5, "stdout": "two is three\\n"}\n'
SKIP = '{"name": "three", "result": "SKIP", "stdout": "skipped: it rains\\n"}\n'
# What is wrong, the log that "meson test" leaves (None: none), its status, the last line and one line before it.
RUNS = [
    ("all is well", OK + OK + SKIP, 0, "2 passed, 0 failed", "skipped: three: it rains"),
    ("nothing, and no vectors", OK, 0, "1 passed, 0 failed", "skipped: the published Noise and Wycheproof vectors"),
    ("a test failed", OK + FAIL, 1, "1 passed, 1 failed", "failed: two: two is three"),
    ("a signal ended a test", OK + FAIL, 1, "1 passed, 1 failed", "failed: two: FAIL, exit status -9 after 2.5 s"),
    ("a test failed and meson did not say so", OK + FAIL, 0, "1 passed, 1 failed", ""),
    ("meson died at once, over an older log", None, 125, "0 passed, 1 failed", "meson test ended with status 125"),
    ("meson was killed on the way", OK, 137, "1 passed, 1 failed", "meson test ended with status 137"),
    ("meson was killed in the middle of a line", OK + FAIL[:20], 137, "1 passed, 1 failed", ""),
    ("everything was skipped", SKIP, 0, "0 passed, 1 failed", "no test passed"),
]
# What is wrong, the ends of the three parts (a shell script), the last line; of what failed the line before it tells.
PARTS = [
    ("nothing", ["echo 3 passed, 0 failed", "echo 4 passed, 0 failed", "echo 5 passed, 0 failed"], "12 passed, 0 failed"),
    ("a test of the first part failed",
     ["echo failed: it; echo 3 passed, 1 failed; exit 1", "echo 4 passed, 0 failed", "echo 5 passed, 0 failed"],
     "12 passed, 1 failed"),
    ("the second part died", ["echo 3 passed, 0 failed", "kill -KILL $$", "echo 5 passed, 0 failed"], "8 passed, 1 failed"),
    ("the first part said nothing", ["exit 1", "echo 4 passed, 0 failed", "echo 5 passed, 0 failed"], "9 passed, 1 failed"),
    ("words behind the count", ["echo 3 passed, 0 failed", "echo 4 passed, 0 failed", "echo 5 passed, 0 failed; echo oh"],
     "7 passed, 1 failed"),
    ("a count without a failure, and a status",
     ["echo 3 passed, 0 failed; exit 1", "echo 4 passed, 0 failed", "echo 5 passed, 0 failed"], "12 passed, 1 failed"),
    ("failures in all", ["echo 3 passed, 1 failed; exit 1", "echo 4 passed, 2 failed; exit 1", "echo 5 passed, 3 failed; exit 1"],
     "12 passed, 6 failed"),
]
MESON = """#!/bin/sh
[ "$1" = test ] || exit 0
[ ! -e told/log ] || cp told/log build/meson-logs/testlog.json
exit "$(cat told/status)"
"""


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def last_lines(folder, program):
    """The output of a script of ours in this tree, and whether it ended well."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WEAVE_")}
    environment["PATH"] = f"{folder}/bin:{environment['PATH']}"
    done = subprocess.run([folder / program], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.splitlines(), done.returncode == 0


def judge(what, lines, ended_well, wanted, earlier):
    if lines[-1:] != [wanted] or ended_well != wanted.endswith(" 0 failed"):
        yield f"{what}: '{lines[-1:]}' and {'success' if ended_well else 'failure'}, not '{wanted}'"
    if not any(earlier in line for line in lines[:-1] or [""]):
        yield f"{what}: no line says '{earlier}': {lines}"


def runs(folder):
    script(folder / "packaging/install-deps", "#!/bin/sh\n")
    script(folder / "bin/ninja", "#!/bin/sh\n")
    script(folder / "bin/meson", MESON)
    log = folder / "build/meson-logs/testlog.json"
    for what, text, status, wanted, earlier in RUNS:
        shutil.rmtree(folder / "told", ignore_errors=True)
        script(folder / "told/status", str(status))
        if text is not None:
            script(folder / "told/log", text)
        script(log, OK)
        yield from judge(f"tests/run: {what}", *last_lines(folder, "tests/run"), wanted, earlier)
    log.unlink()
    log.mkdir()
    yield from judge("tests/run: an older log stays", *last_lines(folder, "tests/run"), "0 passed, 1 failed", "cannot remove")


def parts(folder):
    for what, (first, second, third), wanted in PARTS:
        script(folder / "tests/run",
               f"#!/bin/bash\ncase $* in '') {first} ;; threads) {third} ;; *) {second} ;; esac\n")
        lines, ended_well = last_lines(folder, ".ci/run")
        yield from judge(f".ci/run: {what}", lines, ended_well, wanted, "")
        if "failed: it" in first and lines[-2:-1] != ["failed: it"]:
            yield f".ci/run: {what}: the line before the last is {lines[-2:-1]}"


errors = []
with tempfile.TemporaryDirectory() as name:
    for program in ("tests/run", ".ci/run"):
        script(pathlib.Path(name) / program, (ROOT / program).read_text())
    errors += runs(pathlib.Path(name))
    errors += parts(pathlib.Path(name))
common.finish(errors)
