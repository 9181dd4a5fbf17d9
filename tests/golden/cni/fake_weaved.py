#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""fake_weaved.py SOCKET READY_FILE: answers "ready" on a control socket, with yes while READY_FILE exists, and "expose"."""
import json
import os
import socket
import struct
import sys

server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(8)
while True:
    client = server.accept()[0]
    header = client.recv(4, socket.MSG_WAITALL)
    while len(header) == 4:
        request = json.loads(client.recv(struct.unpack("<I", header)[0], socket.MSG_WAITALL))
        ready = os.path.exists(sys.argv[2])
        result = {"ready": ready, "reason": "" if ready else "no peer answers"}
        if request["method"] == "expose":
            result = {"addresses": ["10.32.0.1/32"]}
        reply = json.dumps({"id": request["id"], "result": result}).encode()
        client.sendall(struct.pack("<I", len(reply)) + reply)
        header = client.recv(4, socket.MSG_WAITALL)
    client.close()
