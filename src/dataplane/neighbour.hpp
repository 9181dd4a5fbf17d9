// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <array>
#include <optional>

namespace weave::dataplane {

/** Who has `target`? An ARP request (RFC 826) or a neighbour solicitation (RFC 4861). */
struct NeighbourQuestion {
    IpAddress target;
    IpAddress from; ///< unspecified: the asker means to take the address (RFC 5227, RFC 4862)
    MacAddress asker;
};

/**
 * Reads the question of an untagged frame. nullopt for all else: answers, announcements (a question
 * for the asker's own address), and what its readers must discard (RFC 4861 7.1.1). No allocation.
 */
std::optional<NeighbourQuestion> read_neighbour_question(ByteView frame, const Packet& packet);

/** A whole Ethernet frame of ARP or of a neighbour advertisement, checksum and all. */
class NeighbourFrame {
  public:
    static constexpr std::size_t kMaxSize = 86;

    /** That `holder` has what was asked for, as if the holder itself said so. No allocation. */
    static NeighbourFrame answer(const NeighbourQuestion& question, const MacAddress& holder);
    /** The same to all without being asked: those who remember another MAC take this one. */
    static NeighbourFrame announcement(const IpAddress& address, const MacAddress& holder);

    [[nodiscard]] ByteView view() const { return {bytes_.data(), size_}; }

  private:
    void put_ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type);
    void put_arp(std::uint16_t operation,
                 const IpAddress& sender,
                 const MacAddress& sender_mac,
                 const IpAddress& target,
                 const MacAddress& target_mac);
    void put_advertisement(const IpAddress& to,
                           const IpAddress& address,
                           const MacAddress& holder,
                           std::uint8_t flags);

    std::array<std::uint8_t, kMaxSize> bytes_{};
    std::size_t size_ = 0;
};

} // namespace weave::dataplane
