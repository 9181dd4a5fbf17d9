#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""xdp_link.py INTERFACE: holds a program (XDP, generic) that lets everything pass there, by a BPF link, until killed."""
import ctypes
import os
import signal
import socket
import struct
import sys

NUMBER = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROG_LOAD, LINK_CREATE = 5, 28
PROG_TYPE_XDP, ATTACH_XDP, SKB_MODE = 6, 37, 2
XDP_PASS = 2


def bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    descriptor = libc.syscall(NUMBER, command, buffer, 128)
    if descriptor < 0:
        raise SystemExit(f"bpf: {os.strerror(ctypes.get_errno())}")
    return descriptor


code = ctypes.create_string_buffer(struct.pack("=BBhi", 0xB7, 0, 0, XDP_PASS) + struct.pack("=BBhi", 0x95, 0, 0, 0))
licence = ctypes.create_string_buffer(b"")
program = bpf(PROG_LOAD, struct.pack("=IIQQ", PROG_TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(licence)))
bpf(LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(sys.argv[1]), ATTACH_XDP, SKB_MODE))
print("attached", flush=True)
signal.pause()
