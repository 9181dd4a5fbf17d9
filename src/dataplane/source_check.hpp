// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/packet.hpp"
#include "dataplane/snapshot.hpp"

#include <array>

namespace weave::dataplane {

/**
 * Whether a peer may send what a frame says of itself: its MAC, its source address, and what ARP
 * and neighbour discovery tell readers about where an address is.
 */
class SourceCheck {
  public:
    /** Starts a batch; the snapshot is used until the next. */
    void begin(const Snapshot& snapshot) {
        snapshot_ = &snapshot;
        approved_ = {};
    }

    [[nodiscard]] bool belong_to(PeerIndex peer, ByteView frame, const Packet& packet);

  private:
    /** Who was last found to own a source: most frames of a batch share it. */
    struct Approved {
        PeerIndex peer = kNoPeer;
        std::uint8_t version = 0; ///< of IP; 0 = covers nothing
        std::array<std::uint8_t, 6> mac{};
        std::array<std::uint8_t, 16> ip{};

        [[nodiscard]] bool covers(ByteView frame, const Packet& packet) const;
    };

    [[nodiscard]] bool owns(PeerIndex peer, const MacAddress& mac) const;
    [[nodiscard]] bool owns(PeerIndex peer, const IpAddress& address) const;
    [[nodiscard]] bool owns_arp(ByteView frame, const Packet& packet) const;
    [[nodiscard]] bool owns_discovery(PeerIndex peer, ByteView frame, const Packet& packet) const;

    const Snapshot* snapshot_ = nullptr;
    Approved approved_;
};

} // namespace weave::dataplane
