// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/equal.hpp"
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

    [[nodiscard]] bool belong_to(PeerIndex peer, ByteView frame, const Packet& packet) {
        return (approved_.peer == peer && !hides_transport(packet) &&
                !is_discovery(frame, packet) && approved_.covers(frame, packet)) ||
               judge(peer, frame, packet);
    }

  private:
    /** Who was last found to own a source: most frames of a batch share it. */
    struct Approved {
        PeerIndex peer = kNoPeer;
        std::uint8_t version = 0; ///< of IP; 0 = covers nothing
        std::array<std::uint8_t, 6> mac{};
        std::array<std::uint8_t, 16> ip{};

        /** Compares headers as they are: making addresses of them costs more than the look-up
         * saves. */
        [[nodiscard]] bool covers(ByteView frame, const Packet& packet) const {
            if (version == 0 || packet.version != version ||
                !equal_bytes<6>(mac.data(), &frame[6])) {
                return false;
            }
            return version == 4 ? equal_bytes<4>(ip.data(), &frame[packet.l3 + 12u])
                                : equal_bytes<16>(ip.data(), &frame[packet.l3 + 8u]);
        }
    };

    /** A message whose contents are judged, too, each time. */
    static bool is_discovery(ByteView frame, const Packet& packet) {
        return packet.protocol == kProtocolIcmp6 && packet.version == 6 && packet.l4 != 0 &&
               packet.l4 < packet.end && frame[packet.l4] >= kRouterSolicitation &&
               frame[packet.l4] <= kRedirect;
    }

    /** Extension headers that were not read to their end may hide anything. */
    static bool hides_transport(const Packet& packet) {
        return packet.version == 6 && packet.l4 == 0 && !packet.fragment;
    }

    [[nodiscard]] bool judge(PeerIndex peer, ByteView frame, const Packet& packet);
    [[nodiscard]] bool owns(PeerIndex peer, const MacAddress& mac) const;
    [[nodiscard]] bool owns(PeerIndex peer, const IpAddress& address) const;
    [[nodiscard]] bool owns_arp(ByteView frame, const Packet& packet) const;
    [[nodiscard]] bool owns_discovery(PeerIndex peer, ByteView frame, const Packet& packet) const;

    const Snapshot* snapshot_ = nullptr;
    Approved approved_;
};

} // namespace weave::dataplane
