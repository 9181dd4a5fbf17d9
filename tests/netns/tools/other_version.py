#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""A node of the cluster that speaks protocol versions 7 to 9 only.

other_version.py dial CLUSTER-FILE ADDRESS     connects and prints what it is answered
other_version.py listen CLUSTER-FILE           refuses each who connects, as a node of such a version would
"""
import json
import os
import socket
import sys

PORT = 6783
REFUSAL = {1: "version", 2: "cluster", 3: "secret", 4: "unknown peer"}


def first_message(path):
    with open(path) as file:
        cluster = json.load(file)
    header = bytes([0x11, 7, 9, 2]) + bytes(4) + b"wvm1" + cluster["secrets"][0]["id"].to_bytes(4, "little")
    body = header + bytes.fromhex(cluster["id"]) + os.urandom(48)
    return len(body).to_bytes(2, "little") + body


def receive(tcp):
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "little"):
        part = tcp.recv(4096)
        if not part:
            raise SystemExit(f"closed after {len(data)} bytes")
        data += part
    return data[2:]


def dial(address):
    with socket.create_connection((address, PORT), timeout=5) as tcp:
        tcp.sendall(first_message(sys.argv[2]))
        body = receive(tcp)
        if len(body) != 4 or body[0] != 0x16:
            raise SystemExit(f"not a refusal: {body.hex()}")
        print("refused:", REFUSAL.get(body[1], body[1]))


def listen():
    server = socket.create_server(("", PORT))
    while True:
        tcp, _ = server.accept()
        with tcp:
            header = receive(tcp)
            if header[0] == 0x11 and header[8:12] == b"wvm1" and header[2] < 7:
                tcp.sendall(bytes([4, 0, 0x16, 1, 0, 0]))


if sys.argv[1] == "dial":
    dial(sys.argv[3])
else:
    listen()
