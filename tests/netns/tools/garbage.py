#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Random bytes of many sizes for a router's UDP and TCP port: garbage.py ADDRESS. The seed is fixed."""
import random
import socket
import sys

PORT = 6783
SIZES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 148, 176, 200, 512, 1023, 1024, 1025, 1372, 1472]
LARGE = [1473, 4000, 9000, 32767, 65000, 65507]  # fragmented on the way
chance = random.Random(6783)


def datagrams(target):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for kind in list(range(12)) + [0x11, 0x16, 0x7F, 0x80, 0xFF]:
        for size in SIZES:
            for _ in range(8):
                udp.sendto((bytes([kind]) + chance.randbytes(size))[:size], target)
                # A good beginning: flags and reserved bytes as they should be.
                udp.sendto((bytes([kind, 0, 0, 0]) + chance.randbytes(size))[:size], target)
    for size in LARGE:
        for kind in range(1, 7):
            udp.sendto((bytes([kind]) + chance.randbytes(size))[:size], target)


def connections(target):
    held = []
    for index in range(300):
        tcp = socket.create_connection(target, timeout=2)
        length = chance.choice([0, 1, 4, 32, 64, 96, 1024, 1025, 0x7FFF, 0xFFFF])
        body = chance.randbytes(min(length, 3000) if index % 2 else chance.randrange(0, 600))
        try:
            tcp.send(length.to_bytes(2, "little") + body)
        except OSError:
            pass  # closed at once: too many from here
        held.append(tcp)
        if index % 3 == 0:
            held.pop(0).close()


host = (sys.argv[1], PORT)
datagrams(host)
connections(host)
