// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "dataplane/packet.hpp"

#include <array>
#include <cstdint>
#include <span>

#include <sys/uio.h>

namespace weave::dataplane {

/** Where the merger's frames go; the TAP in production. */
class FrameSink {
  public:
    virtual ~FrameSink() = default;

    /**
     * Takes one frame or superframe: `parts` are its pieces in order, `frames` the frames it was
     * made of (one when it was not merged), for a writer that must fall back. Valid during the call
     * only.
     */
    virtual void write(const VnetHeader& vnet,
                       std::span<const iovec> parts,
                       std::span<const ByteView> frames) = 0;
};

/**
 * Joins adjacent TCP or UDP frames of one receive batch into superframes, by the rules of the
 * kernel's GRO, and copies nothing but one header. Only frames whose checksum is partial are
 * joined. Frames must stay in place until flush().
 */
class Merger {
  public:
    /** `join_udp`: the sink takes coalesced UDP. */
    Merger(FrameSink& sink, bool join_udp)
        : sink_(sink)
        , join_udp_(join_udp) {}

    /** Starts a batch; `join`: false, each frame is written as it is. */
    void begin(bool join) { join_ = join; }

    /** `partial`: the transport checksum field holds the pseudo-header sum. False: malformed, not
     * taken. */
    bool add(ByteSpan frame, const Packet& packet, bool partial);
    /** Writes all that is held. To be called at the end of each batch, before its buffers are
     * reused. */
    void flush();

  private:
    static constexpr std::size_t kMaxFrames = 64;
    static constexpr std::size_t kMaxRuns = 8;

    struct Run {
        Packet packet; ///< of the first frame
        std::size_t count = 0;
        std::size_t bytes = 0; ///< payload of all
        std::size_t piece = 0; ///< payload of the first
        std::uint32_t next_sequence = 0;
        bool closed = false;
        std::array<ByteView, kMaxFrames> frames;
    };

    [[nodiscard]] bool mergeable(ByteView frame, const Packet& packet) const;
    Run* find(ByteView frame, const Packet& packet);
    static bool append(Run& run, ByteView frame, const Packet& packet);
    void start(ByteView frame, const Packet& packet);
    void write(Run& run);
    void write_single(ByteView frame, const Packet& packet, bool partial);

    FrameSink& sink_;
    bool join_udp_;
    bool join_ = true;
    std::size_t runs_ = 0;
    std::array<Run, kMaxRuns> slots_;
};

} // namespace weave::dataplane
