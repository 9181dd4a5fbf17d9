// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/handoff.hpp"
#include "dataplane/merge.hpp"
#include "dataplane/outbox.hpp"
#include "dataplane/source_check.hpp"

#include <array>

namespace weave::dataplane {

/** The way in: datagrams from the sockets, to the TAP, to other nodes (relaying) or to the control
 * thread. */
class Ingress {
  public:
    struct Config {
        unsigned lane = 0;
        Handoff* handoff = nullptr;
    };

    Ingress(const Config& config,
            Merger& merger,
            Outbox& outbox,
            Punter& punter,
            LaneCounters& counters);

    void begin(const Snapshot& snapshot, TimePoint now);
    /** One received datagram or train; its bytes are changed in place and used until finish(). */
    void handle(const os::Datagram& datagram);
    /** Takes what other lanes passed on, up to its frames' writing; true when more may wait, for
     * which nobody wakes the lane. */
    bool take_handoffs();
    /** Opens what is held and writes all frames. */
    void finish();

  private:
    /** Datagrams of one session and lane, opened by one call. */
    struct Group {
        static constexpr std::size_t kMax = 64;
        DataSession* session = nullptr;
        std::uint32_t receiver = 0;
        DataSession::Receiver* keys = nullptr; ///< those that `receiver` names
        Origin origin;
        std::size_t count = 0;
        /** Some datagram came before one that was sealed earlier. */
        bool disordered = false;
        std::array<crypto::OpenItem, kMax> items;
        /** Outermost IP packet each came in, in bytes. */
        std::array<std::uint16_t, kMax> sizes;
        /** Frames that were taken of it, and their bytes. */
        std::size_t frames = 0;
        std::size_t bytes = 0;

        /** The places of all items, in the order in which they were sealed. */
        [[nodiscard]] std::array<std::uint8_t, kMax> order() const;
    };

    void dispatch(ByteSpan datagram, const Origin& origin, std::size_t outer_size);
    void add_data(ByteSpan datagram, const Origin& origin, std::size_t outer_size);
    void open_group();
    void note_arrival(DataSession& session);
    void punt_relayed(const PeerEntry& peer, const DataSession& session);
    void take_records(ByteSpan plaintext, DataSession& session, std::size_t outer_size);
    bool take_mark(ByteSpan frame, const Packet& packet);
    void take_frame(const wire::RecordSpan& record, PeerIndex peer);
    [[nodiscard]] MacAddress holder_here(ByteView frame, const Packet& packet) const;
    void answer_probe(const wire::RecordSpan& record, DataSession& session, std::size_t outer_size);
    void punt_ack(const wire::RecordSpan& record, DataSession& session);

    void take_relay(ByteSpan datagram, const Origin& origin, std::size_t outer_size);
    DataSession* verify_hop(ByteSpan datagram, const Origin& origin, std::size_t outer_size);
    void forward(ByteView datagram, PeerIndex from, std::uint8_t marks);
    /**
     * The session a datagram names, if this lane may use it. Otherwise nullptr: the datagram was
     * passed to the lane that may, or dropped and counted.
     */
    DataSession* session_for(ByteView datagram, const Origin& origin, std::size_t outer_size);
    void punt_first_record(DataSession& session, const Origin& origin);

    Config config_;
    Merger& merger_;
    Outbox& outbox_;
    Punter& punter_;
    LaneCounters& counters_;
    const Snapshot* snapshot_ = nullptr;
    TimePoint now_{};
    Group group_;
    SourceCheck sources_;
};

} // namespace weave::dataplane
