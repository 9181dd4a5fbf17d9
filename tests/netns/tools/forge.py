#!/usr/bin/env python3
# SPDX-FileCopyrightText: weavemesh authors
# SPDX-License-Identifier: Apache-2.0
"""Sends frames on eth0 of a pod, with source addresses that need not be the pod's.

forge.py KIND COUNT TEXT [mac=MAC] [source=IP] [to=IP] [to_mac=MAC] [vlan=N] [target=IP] [link=MAC]

KIND is udp, arp (an announcement), who (an ARP request for `target`) or advert (an ICMPv6 neighbour advertisement for
`target`, or for the source). `link` is the hardware address that arp, who and advert tell. TEXT is found in every frame. What is not given is the pod's own.
"""
import ipaddress
import socket
import struct
import sys


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def own_mac():
    with open("/sys/class/net/eth0/address") as file:
        return file.read().strip()


def pseudo(source, to, protocol, length):
    if source.version == 4:
        return source.packed + to.packed + struct.pack(">BBH", 0, protocol, length)
    return source.packed + to.packed + struct.pack(">II", length, protocol)


def ip(source, to, protocol, payload):
    if source.version == 6:
        header = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 255) + source.packed + to.packed
        return b"\x86\xdd" + header + payload
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + source.packed + to.packed
    return b"\x08\x00" + header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def udp(source, to, text):
    head = struct.pack(">HHH", 4000, 4000, 8 + len(text))
    total = checksum(pseudo(source, to, 17, 8 + len(text)) + head + b"\0\0" + text) or 0xFFFF
    return ip(source, to, 17, head + struct.pack(">H", total) + text)


def arp(source, mac, text, operation=2, target=None):
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
    return b"\x08\x06" + head + mac + source.packed + b"\xff" * 6 + (target or source).packed + text


def advert(source, to, target, mac, text):
    # The text is an option of a type nobody knows, so that the message is a good one.
    text += bytes(-(len(text) + 2) % 8)
    options = b"\x02\x01" + mac + bytes([253, (len(text) + 2) // 8]) + text
    body = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + target.packed + options
    total = checksum(pseudo(source, to, 58, len(body)) + body)
    return ip(source, to, 58, body[:2] + struct.pack(">H", total) + body[4:])


kind, count, text = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
given = dict(word.split("=", 1) for word in sys.argv[4:])
mac = mac_bytes(given.get("mac", own_mac()))
link = mac_bytes(given.get("link", given.get("mac", own_mac())))
source = ipaddress.ip_address(given["source"])
target = ipaddress.ip_address(given.get("target", given["source"]))
to = ipaddress.ip_address(given.get("to", "ff02::1" if source.version == 6 else "255.255.255.255"))
default_mac = "33:33:00:00:00:01" if kind == "advert" else "ff:ff:ff:ff:ff:ff"
to_mac = mac_bytes(given.get("to_mac", default_mac))
tag = b"\x81\x00" + struct.pack(">H", int(given["vlan"])) if "vlan" in given else b""
body = {
    "udp": lambda: udp(source, to, text),
    "arp": lambda: arp(source, link, text),
    "who": lambda: arp(source, link, text, 1, target),
    "advert": lambda: advert(source, to, target, link, text),
}[kind]()
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
for _ in range(count):
    wire.send(to_mac + mac + tag + body)
