#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""A service manager's notification socket: PATH becomes one, and each message a line "PID-OF-THE-SENDER TEXT" of stdout."""
import os
import socket
import struct
import sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
while True:
    text, control, _, _ = listener.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", control[0][2][:12])[0]
    print(pid, " ".join(text.decode().split("\n")), flush=True)
