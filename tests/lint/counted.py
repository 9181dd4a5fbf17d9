#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a name that the control plane counts is shown nowhere: each is in daemon/refusals.cpp or below."""
import pathlib
import re
import sys

import common

# Not worth a row: what every healthy mesh counts.
NO_REFUSALS = {
    "mesh_record_not_newer",
    "session_cookie_received",
    "session_established",
    "session_init_copy",
    "session_init_sent",
    "session_open_unknown_peer",
    "session_response_sent",
    "session_suspected",
    "session_tie_lost",
    "session_tie_won",
}

src = pathlib.Path(sys.argv[1]) / "src"
listing = src / "daemon" / "refusals.cpp"
shown = set(re.findall(r'Refusal\{\s*"([a-z_]+)"', listing.read_text()))
counted = {}
for module in ("session", "mesh", "daemon"):
    for path in sorted((src / module).glob("*.[ch]pp")):
        if path != listing:
            for name in re.findall(r'"((?:session\.|mesh_|control_|takeover_)[a-z_]+)"', path.read_text()):
                counted.setdefault(name.replace(".", "_"), path.relative_to(src.parent))
errors = [f"{path}: {name} is counted and neither in src/daemon/refusals.cpp nor known as no refusal"
          for name, path in sorted(counted.items()) if name not in shown | NO_REFUSALS]
errors += [f"src/daemon/refusals.cpp: nobody counts {name}" for name in sorted(shown - counted.keys())]
errors += [f"tests/lint/counted.py: nobody counts {name}" for name in sorted(NO_REFUSALS - counted.keys())]
errors += [f"tests/lint/counted.py: {name} is shown as a refusal" for name in sorted(NO_REFUSALS & shown)]
common.finish(errors)
