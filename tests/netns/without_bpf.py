#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""without_bpf.py PROGRAM ARGUMENT...: runs it where bpf(2) is not permitted, as in a container with a strict seccomp profile."""
import ctypes
import errno
import os
import platform
import struct
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, FAIL = 0x7FFF0000, 0x00050000
# struct sock_filter: code, jump if true, jump if false, value. The number of the call is the first field of seccomp_data.
CODE = b"".join(struct.pack("HBBI", *each) for each in [
    (LOAD, 0, 0, 0), (EQUAL, 0, 1, BPF), (RETURN, 0, 0, FAIL | errno.EPERM), (RETURN, 0, 0, ALLOW)])


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Filter(len(CODE) // 8, CODE)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
        libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) != 0:
    sys.exit("cannot set the filter: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
