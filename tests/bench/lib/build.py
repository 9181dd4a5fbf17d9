# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""The build that is measured, and the packages that are compared with it."""
import json
import pathlib
import subprocess

import rig as bench

OWN_BUILD = bench.REPOSITORY / "build-bench"
RELEASE = {"buildtype": "release", "tests": "false", "bench": "true"}
TARGETS = ("src/daemon/weaved", "src/cli/weavectl", "tests/bench/tools/load", "tests/bench/tools/crowd")


def install():
    """Installs what is missing of Debian's packages; where that fails the peers' rows will say so."""
    done = subprocess.run([bench.REPOSITORY / "packaging" / "install-deps", "bench"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        print(f"packaging/install-deps bench failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")


def given(folder):
    """A build folder that the user named: it has to be complete."""
    folder = pathlib.Path(folder).resolve()
    for target in TARGETS:
        if not (folder / target).is_file():
            raise bench.CannotRun(f"{folder / target} is missing: ninja -C {folder} {' '.join(TARGETS)}")
    return folder


def make():
    """The release build of the working tree in build-bench, made or brought up to date."""
    wanted = [f"-D{name}={value}" for name, value in RELEASE.items()]
    if not (OWN_BUILD / "build.ninja").exists():
        print(f"building {OWN_BUILD}, once", flush=True)
        bench.call("meson", "setup", OWN_BUILD, bench.REPOSITORY, *wanted)
    elif options(OWN_BUILD, RELEASE) != RELEASE:
        bench.call("meson", "configure", OWN_BUILD, *wanted)
    bench.call("ninja", "-C", OWN_BUILD, *TARGETS)
    return OWN_BUILD


def options(folder, names=("buildtype", "optimization", "b_sanitize", "b_ndebug")):
    """Build options, those that decide about speed unless others are named; switches as true and false."""
    known = json.loads(bench.call("meson", "introspect", folder, "--buildoptions"))
    values = {option["name"]: option["value"] for option in known if option["name"] in names}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}


def warning(chosen):
    """A sentence when figures of a build with these options say little."""
    if chosen.get("b_sanitize", "none") != "none" or chosen.get("optimization") in ("0", "g", "1"):
        return "this build is not an optimised one: its figures say nothing about speed"
    return ""
