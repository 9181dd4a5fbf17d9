#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a source file, script or build file does not begin with the licence header."""
import sys

import common

CHECKED = {".hpp", ".cpp", ".py", ".sh", ".build", ".service", ".link", ".conf"}
HEADER = ("SPDX-FileCopyrightText: weavemesh authors", "SPDX-License-Identifier: Apache-2.0")

errors = []
scripts = set(common.shell_scripts(sys.argv[1]))
for path in common.files(sys.argv[1]):
    # The small meson.build of a test folder says nothing that could be copied.
    if path.name == "meson.build" or (path.suffix not in CHECKED and path not in scripts):
        continue
    head = path.read_text().splitlines()[:6]
    if not all(any(wanted in line for line in head) for wanted in HEADER):
        errors.append(f"{path}: the two SPDX lines are missing")
common.finish(errors)
