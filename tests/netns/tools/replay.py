#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""What was really said, said again from another address: whole, cut short, with bits flipped. replay.py CAPTURE"""
import socket
import sys

import capture


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


def replay_datagrams(path):
    sockets = {kind: socket.socket(kind, socket.SOCK_DGRAM) for kind in (socket.AF_INET, socket.AF_INET6)}
    seen = {}
    for destination, data in capture.datagrams(path):
        seen.setdefault(data[:1], []).append((destination, data))
    print("datagrams by type:", {kind[0]: len(found) for kind, found in seen.items()})

    def send(destination, data):
        try:
            sockets[family(destination)].sendto(data, (destination, capture.PORT))
        except ConnectionRefusedError:
            pass

    for found in seen.values():
        for destination, data in found[:20]:
            for _ in range(10):
                send(destination, data)
    for found in seen.values():
        for destination, data in found[:2]:
            for at in range(len(data)):
                send(destination, data[:at])
                send(destination, flipped(data, at))
            send(destination, data + bytes(1))
            send(destination, data + data)


def say(destination, data, held=None):
    tcp = socket.socket(family(destination), socket.SOCK_STREAM)
    tcp.settimeout(2)
    try:
        tcp.connect((destination, capture.PORT))
        tcp.sendall(data)
        if held is not None:
            held.append(tcp)
            return b""
        tcp.shutdown(socket.SHUT_WR)
        answer = b""
        while part := tcp.recv(4096):
            answer += part
        return answer
    except OSError:
        return b""


def replay_streams(path):
    streams = [(destination, data) for destination, data in capture.streams(path) if len(data) > 100]
    print("connections:", [len(data) for _, data in streams])
    if not streams:
        raise SystemExit("the capture holds no connection")
    destination, data = streams[0]
    handshake = data[:600]
    held = []
    for _ in range(3):
        answer = say(destination, data)
        # Not even the real bytes make a link: the other side's ephemeral key is new.
        if not answer.endswith(bytes([4, 0, 0x16, 3, 0, 0])):
            raise SystemExit(f"the replayed handshake was not refused: {answer.hex()}")
    for at in range(0, len(handshake), 5):
        say(destination, handshake[:at])
        say(destination, flipped(handshake, at))
    for at in range(0, len(handshake), 40):
        say(destination, handshake[:at], held)


replay_datagrams(sys.argv[1])
replay_streams(sys.argv[1])
