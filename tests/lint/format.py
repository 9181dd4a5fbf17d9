#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when clang-format would change a file; `format.py ROOT --fix` changes them."""
import shutil
import subprocess
import sys

import common

VERSION = " 14."  # of Debian 12, which .clang-format is written for; others format differently

if not shutil.which("clang-format"):
    common.skip("clang-format is not installed")
if VERSION not in subprocess.run(["clang-format", "--version"], stdout=subprocess.PIPE, text=True).stdout:
    common.skip(f"clang-format is not version{VERSION}x")
mode = ["-i"] if "--fix" in sys.argv else ["--dry-run", "--Werror", "--ferror-limit=1"]
sources = common.files(sys.argv[1], common.CXX)
sys.exit(subprocess.run(["clang-format", "--style=file", *mode, *sources]).returncode)
