# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what tcpdump wrote on an Ethernet interface: datagrams and the bytes of TCP connections to port 6783."""
import socket
import struct

PORT = 6783


def frames(path):
    with open(path, "rb") as file:
        data = file.read()
    if struct.unpack_from("<I", data)[0] not in (0xA1B2C3D4, 0xA1B23C4D):
        raise SystemExit(f"{path} is not a capture of this machine")
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16 : at + 16 + size]
        at += 16 + size


def packets(path):
    """(source, destination, protocol, payload of IP), addresses as text."""
    for frame in frames(path):
        kind = frame[12:14]
        if kind == b"\x08\x00":
            header = (frame[14] & 15) * 4
            total = int.from_bytes(frame[16:18], "big")
            yield (socket.inet_ntop(socket.AF_INET, frame[26:30]), socket.inet_ntop(socket.AF_INET, frame[30:34]),
                   frame[23], frame[14 + header : 14 + total])
        elif kind == b"\x86\xdd":
            total = int.from_bytes(frame[18:20], "big")
            yield (socket.inet_ntop(socket.AF_INET6, frame[22:38]), socket.inet_ntop(socket.AF_INET6, frame[38:54]),
                   frame[20], frame[54 : 54 + total])


def datagrams(path):
    """(destination, bytes) of every UDP datagram to the port."""
    for _, destination, protocol, payload in packets(path):
        if protocol == 17 and int.from_bytes(payload[2:4], "big") == PORT:
            yield destination, payload[8:]


def streams(path):
    """(destination, bytes) of every TCP connection to the port: what its client sent, from its first byte."""
    found = {}
    for source, destination, protocol, payload in packets(path):
        if protocol != 6 or int.from_bytes(payload[2:4], "big") != PORT:
            continue
        sequence = int.from_bytes(payload[4:8], "big")
        stream = found.setdefault((source, payload[:2], destination), {})
        if payload[13] & 2:
            stream["first"] = (sequence + 1) & 0xFFFFFFFF
        body = payload[(payload[12] >> 4) * 4 :]
        if body:
            stream[sequence] = body
    for (_, _, destination), stream in found.items():
        if "first" in stream:
            at, out = stream["first"], b""
            while at in stream:
                out += stream[at]
                at = (at + len(stream[at])) & 0xFFFFFFFF
            yield destination, out
