#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Fail when shellcheck finds something in one of our shell scripts."""
import shutil
import subprocess
import sys

import common

if not shutil.which("shellcheck"):
    common.skip("shellcheck is not installed")
scripts = common.shell_scripts(sys.argv[1])
sys.exit(subprocess.run(["shellcheck", "-x", "-P", "SCRIPTDIR", *scripts]).returncode)
