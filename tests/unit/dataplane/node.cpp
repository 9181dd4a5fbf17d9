// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "node.hpp"

#include "crypto/init.hpp"
#include "dataplane/tap_port.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <sys/socket.h>

namespace weave::dataplane::test {
namespace {

crypto::Key32 random_key() {
    std::array<std::uint8_t, 32> bytes{};
    crypto::random_bytes(bytes);
    return crypto::Key32{bytes};
}

os::UdpSocket open_socket(const IpAddress& address) {
    os::UdpOptions options;
    options.bind = {address, 0};
    options.reuse_port = false;
    return os::UdpSocket::open(options);
}

} // namespace

KeyPairing pair_keys(std::uint32_t first_index,
                     std::uint32_t second_index,
                     crypto::Suite suite,
                     std::uint8_t lanes) {
    KeyPairing out;
    out.first.suite = out.second.suite = suite;
    out.first.local_lanes = out.first.remote_lanes = lanes;
    out.second.local_lanes = out.second.remote_lanes = lanes;
    out.first.local_index = out.second.remote_index = first_index;
    out.first.remote_index = out.second.local_index = second_index;
    for (unsigned lane = 0; lane < lanes; ++lane) {
        const crypto::Key32 there = random_key();
        const crypto::Key32 back = random_key();
        out.first.send.push_back(there.clone());
        out.second.receive.push_back(there.clone());
        out.first.receive.push_back(back.clone());
        out.second.send.push_back(back.clone());
    }
    return out;
}

Node::Node(std::uint8_t number, const IpAddress& address, const Lanes& lanes)
    : shape(lanes)
    , udp(open_socket(address)) {
    crypto::init();
    id.octets[0] = number;
    pod_mac.octets = {2, 0, 0, 0, 0, number};
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    tap_lane.reset(ends[0]);
    tap_pod.reset(ends[1]);
    const int size = 4 << 20;
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    settings.own_relay = relay_address(id);
    settings.strict_source = false;
    LaneConfig config;
    config.index = shape.index;
    config.lanes = shape.count;
    config.handoff = shape.handoff;
    config.tap = tap_lane.get();
    config.tap_uso = true;
    (udp.is_v6() ? config.udp6 : config.udp4) = &udp;
    config.cell = &cell;
    config.control = &control;
    lane = std::make_unique<Lane>(config);
}

void Node::pod_sends(ByteView message) {
    REQUIRE(::send(tap_pod.get(), message.data(), message.size(), 0) ==
            static_cast<ssize_t>(message.size()));
}

std::vector<Bytes> Node::pod_receives() {
    std::vector<Bytes> out;
    for (;;) {
        Bytes message(TapPort::kBufferSize);
        const ssize_t size = ::recv(tap_pod.get(), message.data(), message.size(), 0);
        if (size < 0) {
            return out;
        }
        message.resize(static_cast<std::size_t>(size));
        out.push_back(std::move(message));
    }
}

std::optional<Punt> Node::punted(Punt::Kind kind) {
    while (const Punt* punt = lane->punts().front()) {
        const Punt copy = *punt;
        lane->punts().release();
        if (copy.kind == kind) {
            return copy;
        }
    }
    return std::nullopt;
}

void Node::inject(const Injection& injection) {
    Injection* slot = lane->injections().claim();
    REQUIRE(slot != nullptr);
    *slot = injection;
    lane->injections().publish();
    lane->wake();
}

void Node::publish() {
    Snapshot next;
    next.peers = std::make_shared<PeerTable>(peers, sessions);
    next.addresses = std::make_shared<AddressTable>(addresses);
    next.settings = std::make_shared<Settings>(settings);
    cell.publish(std::move(next));
}

PeerIndex Node::add_peer(const Node& other) {
    PeerEntry entry;
    entry.node = other.id;
    entry.relay = relay_address(other.id);
    entry.path = {Path::Kind::direct, other.endpoint(), {}, kNoPeer};
    entry.mtu = 1500;
    entry.state = std::make_shared<PeerState>(shape.count);
    peers.push_back(std::move(entry));
    const auto index = static_cast<PeerIndex>(peers.size() - 1);
    const AddressChange change{other.pod_mac, index};
    addresses = addresses.with({&change, 1});
    return index;
}

void give_session(Node& a, PeerIndex b_at_a, Node& b, PeerIndex a_at_b, crypto::Suite suite) {
    static std::uint32_t next = 64;
    auto keys = pair_keys(next, next + 64, suite, static_cast<std::uint8_t>(a.shape.count));
    next += 128;
    const crypto::Provider provider =
        suite == crypto::Suite::clear ? crypto::Provider::none : crypto::Provider::sodium;
    a.peers[b_at_a].session =
        std::make_shared<DataSession>(b_at_a, std::move(keys.first), provider);
    b.peers[a_at_b].session =
        std::make_shared<DataSession>(a_at_b, std::move(keys.second), provider);
    a.peers[b_at_a].session->set_features(b.features);
    b.peers[a_at_b].session->set_features(a.features);
    a.publish();
    b.publish();
}

void join(Node& a, Node& b, crypto::Suite suite) {
    const PeerIndex b_at_a = a.add_peer(b);
    const PeerIndex a_at_b = b.add_peer(a);
    give_session(a, b_at_a, b, a_at_b, suite);
}

FrameSpec from_a_to_b(const Node& a, const Node& b) {
    FrameSpec spec;
    spec.from = a.pod_mac;
    spec.to = b.pod_mac;
    return spec;
}

std::vector<Bytes> delivered(Node& node) {
    std::vector<Bytes> out;
    for (const Bytes& message : node.pod_receives()) {
        for (Bytes& frame : deliver(message)) {
            out.push_back(std::move(frame));
        }
    }
    return out;
}

Bytes joined_payloads(const std::vector<Bytes>& frames) {
    Bytes out;
    for (const Bytes& frame : frames) {
        CHECK(checksums_are_right(frame));
        const Bytes payload = payload_of(frame);
        out.insert(out.end(), payload.begin(), payload.end());
    }
    return out;
}

Bytes plain(ByteView frame) {
    Bytes message(sizeof(VnetHeader) + frame.size());
    std::copy(frame.begin(), frame.end(), message.begin() + sizeof(VnetHeader));
    return message;
}

} // namespace weave::dataplane::test
