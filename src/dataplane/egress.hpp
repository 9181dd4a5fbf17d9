// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/outbox.hpp"
#include "dataplane/pending.hpp"
#include "dataplane/segment.hpp"
#include "dataplane/source_check.hpp"
#include "dataplane/tap_port.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <span>

namespace weave::dataplane {

/** How often a lane troubles the control thread about the same senders: `burst` at once, then one
 * `each`. Senders share a few buckets, so that one that does not listen does not silence what
 * concerns the others. */
class SenderLimit {
  public:
    SenderLimit(int burst, Duration each)
        : burst_(burst)
        , each_(each) {}

    bool allow(const MacAddress& sender, TimePoint now) {
        TimePoint& next = next_[std::hash<MacAddress>{}(sender) % next_.size()];
        next = std::max(next, now - (burst_ - 1) * each_);
        if (next > now) {
            return false;
        }
        next += each_;
        return true;
    }

  private:
    int burst_;
    Duration each_;
    std::array<TimePoint, 16> next_{};
};

/** The way out: frames from the TAP, to the peers that own their destinations. */
class Egress {
  public:
    Egress(unsigned lane, TapPort& tap, Outbox& outbox, Punter& punter, LaneCounters& counters);

    void begin(const Snapshot& snapshot, TimePoint now) {
        snapshot_ = &snapshot;
        now_ = now;
        sources_.begin(snapshot);
    }

    /** Reads and sends until nothing waits or a batch is full. True when more may wait. Nothing
     * that was read waits in the outbox afterwards. */
    bool drain();
    /** Sends what waited for a session with `peer`. */
    void flush_pending(PeerIndex peer);
    void drop_stale(PeerIndex peer);
    void drop_pending(PeerIndex peer);

  private:
    /** A frame in the read buffer, with what is known about it. */
    struct Outgoing {
        VnetHeader vnet;
        ByteSpan frame;
        Packet packet;
        Offload offload = Offload::none;
    };

    void handle(const VnetHeader& vnet, ByteSpan frame);
    std::optional<Outgoing> judge(const VnetHeader& vnet, ByteSpan frame);
    void tell_of_source(const MacAddress& source);
    bool keep_question(const Outgoing& out);
    [[nodiscard]] PeerIndex owner_of(const Outgoing& out) const;
    void send_to_each(std::span<const PeerIndex> peers, const Outgoing& out);
    void send_to(PeerIndex peer, const Outgoing& out);
    void send_partial(const Route& route, ByteSpan frame, const Packet& packet);
    void send_super(const Route& route, const Outgoing& out);
    void send_large(const Route& route, const Outgoing& out);
    void wait_for_session(PeerIndex peer, const Outgoing& out);
    void ask_for_session(PeerIndex peer, PeerState& state);
    void ask_at_once(PeerIndex peer);
    bool send_cut(const Route& route, const Outgoing& out);
    void send_pieces(const Route& route, Segmenter& segmenter);
    void send_datagrams(const Route& route, Segmenter& segmenter);
    void send_fragments(const Route& route, const Outgoing& out, Fragmenter& fragmenter);
    void refuse_too_big(const Route& route, const Outgoing& out);

    unsigned lane_;
    TapPort& tap_;
    Outbox& outbox_;
    Punter& punter_;
    LaneCounters& counters_;
    PendingFrames pending_;
    const Snapshot* snapshot_ = nullptr;
    TimePoint now_{};
    SourceCheck sources_;
    SenderLimit too_big_{20, std::chrono::milliseconds{10}};
    SenderLimit new_sources_{4, std::chrono::milliseconds{200}};
    /** Of IPv6 packets that are fragmented here. */
    std::uint32_t fragment_id_ = 0;
    /** The read buffer, and a second one for frames that go to several peers. */
    Bytes buffer_;
    Bytes copy_;
    /** The last batch had one frame: of a request and its answer, not of a stream. */
    bool came_alone_ = false;
};

} // namespace weave::dataplane
