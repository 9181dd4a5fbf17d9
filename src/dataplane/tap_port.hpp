// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "dataplane/counters.hpp"
#include "dataplane/kernel_errors.hpp"
#include "dataplane/merge.hpp"
#include "dataplane/superframe_watch.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace weave::dataplane {

/** One TAP queue: reads frames into a buffer with room in front, writes frames and superframes. */
class TapPort : public FrameSink {
  public:
    /** `watch`: nullptr, or shared with others. */
    TapPort(int fd, LaneCounters& counters, SuperframeWatch* watch)
        : fd_(fd)
        , counters_(counters)
        , watch_(watch) {}

    /** Bytes free in front of a read frame, for headers stamped there. */
    static constexpr std::size_t kHeadroom = 64;
    static constexpr std::size_t kMaxFrame = 65536 + 64;
    static constexpr std::size_t kBufferSize = kHeadroom + kMaxFrame;

    struct Read {
        VnetHeader vnet;
        ByteSpan frame; ///< empty: nothing waits
    };

    /** Starts a batch. */
    void begin(TimePoint now) { now_ = now; }

    /** The interface is not there any more: a read said so. */
    [[nodiscard]] bool gone() const { return gone_; }

    /** `buffer` has kBufferSize bytes. Never blocks. */
    Read read(ByteSpan buffer);

    void write(const VnetHeader& vnet,
               std::span<const iovec> parts,
               std::span<const ByteView> frames) override;

  private:
    /** 0, or the errno value. */
    int write_parts(const VnetHeader& vnet, std::span<const iovec> parts);
    void wrote(const VnetHeader& vnet, std::span<const ByteView> frames);
    void write_super(const VnetHeader& vnet,
                     std::span<const iovec> parts,
                     std::span<const ByteView> frames);
    /** True when all were taken. */
    bool write_singles(const VnetHeader& vnet, std::span<const ByteView> frames);

    int fd_;
    bool gone_ = false;
    LaneCounters& counters_;
    TimePoint now_{};
    /** TCP over IPv4 and IPv6, UDP: some kernels refuse valid superframes of one shape. */
    std::array<Abstinence, 3> no_superframes_;
    SuperframeWatch* watch_;
};

} // namespace weave::dataplane
