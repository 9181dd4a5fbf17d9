#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when the code map and the tree differ: each folder of src/ has one '### `name/`' heading in src/README.md."""
import pathlib
import re
import sys

import common

src = pathlib.Path(sys.argv[1]) / "src"
named = re.findall(r"^### `([a-z0-9_]+)/`", (src / "README.md").read_text(), re.MULTILINE)
real = {path.name for path in src.iterdir() if path.is_dir() and not path.name.startswith("__")}
errors = [f"src/README.md: no heading for src/{name}/" for name in sorted(real - set(named))]
errors += [f"src/README.md: src/{name}/ does not exist" for name in sorted(set(named) - real)]
errors += [f"src/README.md: src/{name}/ is there twice" for name in sorted(real) if named.count(name) > 1]
law = re.findall(r"^([a-z0-9_]+):", (src / "floors.txt").read_text(), re.MULTILINE)
errors += [f"src/README.md: module {name} of floors.txt is missing" for name in law if name not in named]
common.finish(errors)
