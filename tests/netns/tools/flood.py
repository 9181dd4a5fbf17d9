#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Floods from many addresses of a /16 that this host owns (10.99.0.0/16).

flood.py tcp ADDRESS COUNT      opens so many connections, says nothing on them, holds them until killed
flood.py udp CAPTURE COUNT      sends real first handshake datagrams of the capture, so many, each from another address
"""
import errno
import resource
import select
import signal
import socket
import sys
import time

import capture

# A first handshake datagram: clear header, Noise message 1 with its payload, two authenticators.
INIT_SIZE = 181


def source(index):
    return f"10.99.{index // 250 % 250}.{index % 250 + 1}"


def tcp(address, count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    poller = select.epoll()
    held = {}
    connected = 0

    def settle(wait):
        nonlocal connected
        for fd, _ in poller.poll(wait):
            poller.unregister(fd)
            failure = held[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            connected += failure == 0

    for index in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setblocking(False)
        one.bind((source(index // 12), 0))
        failure = one.connect_ex((address, capture.PORT))
        if failure not in (0, errno.EINPROGRESS):
            raise SystemExit(f"connection {index}: {errno.errorcode[failure]}")
        held[one.fileno()] = one
        poller.register(one.fileno(), select.EPOLLOUT)
        if index % 64 == 0:
            settle(0)
    deadline = time.monotonic() + 40
    while connected < count and time.monotonic() < deadline:
        settle(0.1)
    print(f"connected {connected}", flush=True)
    signal.pause()


def udp(path, count):
    # What left with others as one segmented packet was captured as one, too.
    inits = [
        (destination, data[:INIT_SIZE]) for destination, data in capture.datagrams(path) if data[:1] == b"\x01"
    ]
    if not inits:
        raise SystemExit("the capture holds no first handshake datagram")
    destination, data = inits[-1]
    for index in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((source(index), 0))
            one.sendto(data, (destination, capture.PORT))
    print(f"sent to {destination}")


if sys.argv[1] == "tcp":
    tcp(sys.argv[2], int(sys.argv[3]))
else:
    udp(sys.argv[2], int(sys.argv[3]))
