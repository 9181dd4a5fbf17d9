#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when a source file includes a module, or an external library, that its floor may not see."""
import pathlib
import re
import sys
import tempfile

import common

# Header prefix -> the modules that may include it. Headers not listed here are free for all.
LIBRARIES = {
    r"sodium(\.h|/)": {"crypto"},
    r"(intel-ipsec-mb\.h|openssl/)": {"crypto"},
    r"boost/(asio|beast)": {"net", "api", "daemon"},
    r"nlohmann/": {"attach", "api", "cli", "cni", "daemon"},
    r"CLI/": {"cli", "daemon"},
    r"spdlog/": {"daemon"},
    r"libmnl/": {"os"},
    r"nftables/": {"attach"},
    r"tins/": {"dataplane"},
    # Structs of the kernel.
    r"linux/": {"os", "fastpath"},
    r"(bpf|xdp)/": {"fastpath"},
    # Descriptor passing and the client library's unix socket are the control API's own, AF_XDP the fast path's.
    r"sys/socket\.h": {"os", "api", "fastpath"},
    r"sys/un\.h": {"os", "api"},
    # The client library: what implements it, what fills its types in, what uses it.
    r"weave/": {"api", "daemon", "cli", "cni"},
    # No module may use these without a decision record.
    r"(iostream|regex)$": set(),
}
INCLUDE = re.compile(r"^\s*#\s*(?:include|include_next|import)\b\s*(.*)$", re.MULTILINE)


def read_law(text):
    """Module -> modules it may include, and what is wrong with the text."""
    allowed, errors = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        module, colon, deps = line.partition(":")
        module, deps = module.strip(), deps.split()
        if not colon or not re.fullmatch("[a-z0-9_]+", module):
            errors.append(f"floors.txt:{number}: '{line}' is not 'module: modules'")
            continue
        if module in allowed:
            errors.append(f"floors.txt:{number}: {module} is there twice")
        for dep in deps:
            if dep not in allowed or dep == module:
                errors.append(f"floors.txt:{number}: {module} names {dep}, which is not on a lower floor")
        allowed.setdefault(module, {module, *deps})
    return allowed, errors


def what_is_wrong(src, path, header, allowed):
    """Of one include, or None. Quotes or brackets make no difference: ours is what lies in src/ or beside the file."""
    module = path.relative_to(src).parts[0]
    name = header[1:-1]
    if header[:1] + header[-1:] not in ('""', "<>"):
        return "an include names its header, no macro"
    if ".." in name.split("/"):
        return f"{header} is written from src/: no '..'"
    if (src / name).exists() and "/" in name:
        other = name.split("/")[0]
        return None if other in allowed[module] else f"{module} may not include {other}/"
    if (path.parent / name).exists():
        return None
    if name.split("/")[0] in allowed and header[0] == '"':
        return f"{header} does not exist"
    for pattern, modules in LIBRARIES.items():
        if re.match(pattern, name) and module not in modules:
            return f"{module} may not include {header}"
    return None


def check(src, path, allowed):
    text = re.sub(r"\\\n", "", path.read_text())
    text = re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    for found in INCLUDE.finditer(text):
        wrong = what_is_wrong(src, path, found[1].strip(), allowed)
        if wrong:
            yield f"{path}:{text.count(chr(10), 0, found.start(1)) + 1}: {wrong}"


def findings(src):
    allowed, errors = read_law((src / "floors.txt").read_text())
    for path in sorted(path for path in src.rglob("*") if path.suffix in common.CXX):
        if path.relative_to(src).parts[0] in allowed:
            errors += check(src, path, allowed)
        else:
            errors.append(f"{path}: its module is missing from floors.txt")
    return errors


LAW = "base:\nos: base\nnet: base\ndaemon: base os net\n"
# Law, file, its text, and whether something is wrong with it. net/link.hpp, os/fd.hpp and daemon/router.hpp exist.
SELF_TEST = [
    (LAW, "net/a.cpp", '#include "net/link.hpp"\n#include "base/a.hpp"\n#include "link.hpp"\n#include <net/if.h>\n#include <vector>\n', False),
    (LAW, "daemon/a.cpp", '#include "os/fd.hpp"\n#include <spdlog/spdlog.h>\n', False),
    (LAW, "net/a.cpp", '#include "daemon/router.hpp"\n', True),
    (LAW, "net/a.cpp", "#include <daemon/router.hpp>\n", True),
    (LAW, "net/a.cpp", '#include "../daemon/router.hpp"\n', True),
    (LAW, "net/a.cpp", '#include "net/../daemon/router.hpp"\n', True),
    (LAW, "net/a.cpp", '#include "daemon/missing.hpp"\n', True),
    (LAW, "net/a.cpp", '# include /* so */ "daemon/router.hpp" // and so\n', True),
    (LAW, "net/a.cpp", '#include \\\n"daemon/router.hpp"\n', True),
    (LAW, "net/a.cpp", "#include ROUTER\n", True),
    (LAW, "net/a.h", '#include "os/fd.hpp"\n', True),
    (LAW, "net/a.cc", '#include "os/fd.hpp"\n', True),
    (LAW, "net/a.cpp", "#include <sodium.h>\n", True),
    (LAW, "net/a.cpp", '#include "sodium.h"\n', True),
    (LAW, "net/a.cpp", '#include "tins/ip.h"\n', True),
    (LAW, "base/a.cpp", "#include <iostream>\n", True),
    (LAW, "other/a.cpp", "", True),
    (LAW, "a.cpp", "", True),
    (LAW + "net: base os\n", "net/a.cpp", '#include "os/fd.hpp"\n', True),
    ("net: os\nos:\nbase:\ndaemon:\n", "net/a.cpp", "", True),
    (LAW + "cli base\n", "net/a.cpp", "", True),
]


def try_self():
    for law, name, text, wrong in SELF_TEST:
        with tempfile.TemporaryDirectory() as folder:
            src = pathlib.Path(folder)
            for header in ("base/a.hpp", "net/link.hpp", "os/fd.hpp", "daemon/router.hpp", name):
                (src / header).parent.mkdir(exist_ok=True)
                (src / header).write_text(text if header == name else "")
            (src / "floors.txt").write_text(law)
            if bool(findings(src)) != wrong:
                yield f"{__file__}: reads this wrongly: {name} with {text!r} under {law!r}: {findings(src)}"


common.finish([*try_self(), *findings(pathlib.Path(sys.argv[1]) / "src")])
