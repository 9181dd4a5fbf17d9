#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a source file includes a module, or an external library, that its floor may not see."""
import pathlib
import re
import sys

import common

# Header prefix -> the modules that may include it. Headers not listed here are free for all.
LIBRARIES = {
    r"sodium(\.h|/)": {"crypto"},
    r"(intel-ipsec-mb\.h|openssl/)": {"crypto"},
    r"boost/(asio|beast)": {"net", "api", "daemon"},
    r"nlohmann/": {"api", "cli", "daemon"},
    r"CLI/": {"cli", "daemon"},
    r"spdlog/": {"net", "api", "daemon", "cli"},
    r"libmnl/": {"os"},
    # Structs of the kernel: virtio_net_hdr and the UDP control messages reach the packet path, nothing else does.
    r"linux/": {"os", "attach", "dataplane"},
    # Descriptor passing and the client library's unix socket are the control API's own.
    r"sys/(socket|un)\.h": {"os", "attach", "dataplane", "api"},
    # No module may use these without a decision record.
    r"(iostream|regex)$": set(),
}


def read_law(path):
    allowed = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        module, _, deps = line.partition(":")
        deps = deps.split()
        for dep in deps:
            if dep not in allowed:
                sys.exit(f"floors.txt:{number}: {module} names {dep}, which is not on a lower floor")
        allowed[module.strip()] = {module.strip(), *deps}
    return allowed


def check(path, module, allowed):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        ours = re.match(r'\s*#\s*include\s*"([a-z0-9_]+)/', line)
        if ours and ours[1] not in allowed[module]:
            yield f"{path}:{number}: {module} may not include {ours[1]}/"
        library = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
        for pattern, modules in LIBRARIES.items() if library else ():
            if re.match(pattern, library[1]) and module not in modules:
                yield f"{path}:{number}: {module} may not include <{library[1]}>"


root = pathlib.Path(sys.argv[1]) / "src"
law = read_law(root / "floors.txt")
errors = []
for source in sorted(root.rglob("*.?pp")):
    name = source.relative_to(root).parts[0]
    if name in law:
        errors += check(source, name, law)
    else:
        errors.append(f"{source}: module {name} is missing from floors.txt")
common.finish(errors)
