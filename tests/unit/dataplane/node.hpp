// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/lane.hpp"
#include "frames.hpp"
#include "os/fd.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace weave::dataplane::test {

/** Two matching sets of transport keys, as a handshake would leave them. */
struct KeyPairing {
    crypto::TransportKeys first;
    crypto::TransportKeys second;
};

KeyPairing pair_keys(std::uint32_t first_index,
                     std::uint32_t second_index,
                     crypto::Suite suite = crypto::Suite::chacha20poly1305,
                     std::uint8_t lanes = 1);

/** A node with one lane: real loopback sockets, a socket pair for a TAP, tables set by hand. */
class Node {
  public:
    struct Lanes {
        unsigned index = 0;
        unsigned count = 1;
        Handoff* handoff = nullptr;
    };

    explicit Node(std::uint8_t number,
                  const IpAddress& address = *IpAddress::parse("127.0.0.1"),
                  const Lanes& lanes = {0, 1, nullptr});

    /** The pod side of the TAP. */
    void pod_sends(ByteView message);
    std::vector<Bytes> pod_receives();

    /** One round of the lane: whatever is ready. */
    void step() { lane->run_once(std::chrono::milliseconds{20}); }

    std::optional<Punt> punted(Punt::Kind kind);
    void inject(const Injection& injection);
    void publish();

    [[nodiscard]] std::uint64_t dropped(Drop drop) const { return lane->counters().dropped(drop); }

    [[nodiscard]] Endpoint endpoint() const { return udp.local(); }

    Lanes shape;
    NodeId id;
    MacAddress pod_mac;
    os::UdpSocket udp;
    os::UniqueFd tap_lane, tap_pod, spare;
    os::EventFd control;
    SnapshotCell cell;
    std::unique_ptr<Lane> lane;

    std::vector<PeerEntry> peers;
    std::vector<std::shared_ptr<DataSession>> sessions;
    AddressTable addresses;
    Settings settings;
    /** What its peers hear of it in handshakes. */
    wire::Features features = wire::kOwnFeatures;

    /** Adds a peer with a direct path and no session; returns its index. */
    PeerIndex add_peer(const Node& other);
};

/** Peers of each other, with a session in both directions and both pods' addresses. */
void join(Node& a, Node& b, crypto::Suite suite = crypto::Suite::chacha20poly1305);
/** Gives two nodes that know each other a session. */
void give_session(Node& a,
                  PeerIndex b_at_a,
                  Node& b,
                  PeerIndex a_at_b,
                  crypto::Suite suite = crypto::Suite::chacha20poly1305);

/** A TCP frame from the pod of one to the pod of the other. */
FrameSpec from_a_to_b(const Node& a, const Node& b);
/** The frames a pod would get of what its node wrote to the TAP. */
std::vector<Bytes> delivered(Node& node);
/** All payloads in a row; every checksum is checked. */
Bytes joined_payloads(const std::vector<Bytes>& frames);
/** A whole frame as a TAP message. */
Bytes plain(ByteView frame);

} // namespace weave::dataplane::test
