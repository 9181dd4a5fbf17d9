#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""embed.py FILE OUT: the bytes of a file as the inside of a C array."""
import pathlib
import sys

content = pathlib.Path(sys.argv[1]).read_bytes()
pathlib.Path(sys.argv[2]).write_text("".join(f"{byte}," + "\n" * (at % 32 == 31) for at, byte in enumerate(content)) + "\n")
