# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What the lint checks share: which files are ours, and how a check ends."""
import os
import pathlib
import sys

SKIPPED = 77  # meson's exit status for a test that did not apply
HEADERS = {".hpp", ".h", ".hh", ".hxx", ".ipp", ".inl"}
CXX = {".cpp", ".cc", ".cxx", ".c"} | HEADERS
OURS = ("src", "include", "tests", "examples", "packaging", ".ci")


def files(root, suffixes=None):
    """Our files, sorted; with `suffixes` only those (an empty suffix stands for files without one)."""
    found = []
    for folder in OURS:
        for base, folders, names in os.walk(pathlib.Path(root) / folder):
            folders[:] = [name for name in folders if not name.startswith(("__", "build"))]
            found += [pathlib.Path(base) / name for name in names]
    return sorted(p for p in found if suffixes is None or p.suffix in suffixes)


def shell_scripts(root):
    """Every file of ours whose first line names a shell."""
    scripts = []
    for path in files(root):
        with open(path, "rb") as file:
            first = file.readline(80)
        if first.startswith(b"#!") and first.rstrip().endswith((b"/bash", b"/sh", b"env bash")):
            scripts.append(path)
    return scripts


def finish(errors):
    """Prints the findings and ends the check."""
    print(*errors, sep="\n")
    sys.exit(bool(errors))


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)
