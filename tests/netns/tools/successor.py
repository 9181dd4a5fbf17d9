#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Knocks at a router's takeover socket and behaves badly: successor.py SOCKET HOW [KEY=VALUE...]

  silent      connects, and says nothing for five seconds
  garbage     a message that is none
  huge        a message that claims 512 MiB
  partial     the beginning of a message, and then nothing
  format      the request of a version to come
  misfit      a request with other options
  vanish      a good request, and the end once it has the state
  abandon     all of it up to the router's keys, and then the end

The last two need what does not change, as fields: state_dir, cluster, port, listen, bridge, tap, lanes, clear. Prints what was
answered: the sentence of a refusal, "state BYTES FDS", "progress BYTES", or "closed".
"""
import array
import os
import socket
import struct
import sys
import time

MAGIC, FORMAT = 0x6F687657, 3
REQUEST, REFUSED, STATE, READY, PROGRESS = 1, 2, 3, 4, 5
FIELDS = ("state_dir", "cluster", "port", "listen", "bridge", "tap", "lanes", "clear")


def text(value):
    return struct.pack("<I", len(value)) + value.encode()


def request(fields, version=FORMAT):
    body = struct.pack("<II", MAGIC, version) + text("test")
    return bytes([REQUEST]) + body + b"".join(text(fields.get(name, "")) for name in FIELDS)


def send(channel, message):
    channel.sendall(struct.pack("<II", len(message), 0) + message)


def receive(channel):
    """(message, count of descriptors), or None at the end."""
    head, ancillary, _, _ = channel.recvmsg(8, socket.CMSG_LEN(253 * 4))
    if len(head) < 8:
        return None
    fds = array.array("i")
    for _, _, data in ancillary:
        fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    for fd in fds:
        os.close(fd)
    length, _ = struct.unpack("<II", head)
    body = b""
    while len(body) < length:
        part = channel.recv(length - len(body))
        if not part:
            return None
        body += part
    return body, len(fds)


def answer(channel):
    got = receive(channel)
    if got is None:
        print("closed")
    elif got[0][0] == REFUSED:
        print(got[0][1:].decode())
    elif got[0][0] == STATE:
        print("state", len(got[0]), got[1])
    elif got[0][0] == PROGRESS:
        print("progress", len(got[0]))


def main():
    path, how = sys.argv[1:3]
    fields = dict(word.split("=", 1) for word in sys.argv[3:])
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(10)
    channel.connect(path)
    if how == "silent":
        time.sleep(5)
    elif how == "garbage":
        send(channel, b"\xff" * 100)
    elif how == "huge":
        channel.sendall(struct.pack("<II", 512 << 20, 0))
    elif how == "partial":
        channel.sendall(struct.pack("<II", 1000, 0) + bytes([REQUEST]))
    else:
        send(channel, request(fields, FORMAT + 1 if how == "format" else FORMAT))
    answer(channel)
    if how == "abandon":
        send(channel, bytes([READY]))
        answer(channel)


main()
