// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/ring.hpp"
#include "dataplane/tables.hpp"
#include "wire/datagram.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace weave::dataplane {

/** How a datagram came. */
struct Origin {
    enum class Kind : std::uint8_t { direct, relayed };
    Kind kind = Kind::direct;
    /** direct: the sender; relayed: the last hop. */
    Endpoint endpoint;
    /** Our own address it was sent to: the source for an answer. */
    IpAddress local;
    /** relayed: who made the datagram, and the hop that handed it to us. */
    RelayAddress source{};
    PeerIndex via = kNoPeer;
    unsigned lane = 0;
    /** DSCP and ECN of the packet it came in. */
    std::uint8_t marks = 0;
};

/** Bytes a punt or an injection can carry. */
inline constexpr std::size_t kMessageBytes = 2048;

/** What a lane tells the control thread. Unauthenticated ones (handshake) are hints and input only.
 */
struct Punt {
    enum class Kind : std::uint8_t {
        handshake,    ///< type 1, 2, 3 or 6 datagram in bytes, from origin
        need_session, ///< frames wait for peer
        first_record, ///< the first record of session local_index authenticated, from origin
        roamed,    ///< a record of peer came from an endpoint, or by a relay, that is not its path
        probe_ack, ///< peer answered probe `id`, which arrived there `size` bytes long
        close,     ///< peer closed session local_index
        too_big,   ///< a frame (its first bytes) does not fit `mtu` bytes of IP; see is_tx
        path_too_big, ///< the kernel sends no datagram of the size of peer's path
        seal_limit,   ///< the key of session local_index is used up, or too old
        new_source,   ///< a frame came from the TAP from a MAC, `bytes`, that nobody owns
    };
    Kind kind = Kind::handshake;
    PeerIndex peer = kNoPeer;
    std::uint32_t local_index = 0;
    Origin origin;
    std::uint64_t id = 0;
    /** Path size in bytes as Probe sizes are counted: the outermost IP packet with its headers. */
    std::uint16_t size = 0;
    /** The largest inner IP packet that fits. */
    std::uint16_t mtu = 0;
    /** too_big: the frame came from this node's TAP. */
    bool is_tx = false;
    std::uint16_t length = 0;
    std::array<std::uint8_t, kMessageBytes> bytes;

    [[nodiscard]] ByteView view() const { return {bytes.data(), length}; }
};

/** What the control thread asks a lane to send. */
struct Injection {
    enum class Kind : std::uint8_t {
        train,         ///< seal `count` probe records to `peer` and send them by one call
        record,        ///< seal one record of `record` kind with `bytes` as body to `peer`
        datagram,      ///< send `bytes` as they are to `endpoint`
        relayed,       ///< wrap `bytes` (a handshake) for `peer` under the session with hop `via`
        tap_frame,     ///< write `bytes`, a whole Ethernet frame with final checksums, to the TAP
        flush_pending, ///< the session of `peer` is up: send the frames that waited
        drop_stale,    ///< drop what has waited for `peer` for too long
        drop_pending,  ///< there will be no session with `peer` for now: drop what waits
    };
    Kind kind = Kind::datagram;
    PeerIndex peer = kNoPeer;
    wire::RecordKind record = wire::RecordKind::probe;
    /** record: send here instead of along the peer's path; datagram: where to. */
    std::optional<Endpoint> endpoint;
    /** Local address to send from; nullopt = the kernel's choice. */
    std::optional<IpAddress> source;
    /** record: send through this hop instead of along the path; relayed: the hop. */
    PeerIndex via = kNoPeer;
    /** record: pad until the outermost IP packet is this large; 0 = no padding. */
    std::uint16_t pad_to = 0;
    /** train: the same of its last datagram. */
    std::uint16_t pad_last_to = 0;
    /** train: how many; the first eight of `bytes` are the id of the first, others have the next.
     */
    std::uint16_t count = 0;
    std::uint16_t length = 0;
    std::array<std::uint8_t, kMessageBytes> bytes;

    void assign(ByteView body) {
        length = static_cast<std::uint16_t>(std::min(body.size(), bytes.size()));
        std::copy_n(body.begin(), length, bytes.begin());
    }

    [[nodiscard]] ByteView view() const { return {bytes.data(), length}; }
};

/** lane -> control; the lane signals the control thread's eventfd after publishing. */
using PuntRing = SpscRing<Punt>;
/** control -> lane; call Lane::wake() after publishing. */
using InjectionRing = SpscRing<Injection>;

} // namespace weave::dataplane
