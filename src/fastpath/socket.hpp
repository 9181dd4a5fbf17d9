// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "fastpath/filter.hpp"
#include "fastpath/frames.hpp"
#include "fastpath/umem.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>

namespace weave::fastpath {

/** What one socket did; any thread reads. */
struct SocketProgress {
    std::uint64_t submitted = 0; ///< frames given to the kernel to send
    std::uint64_t refused = 0;   ///< how often claim() had none
    std::uint64_t completed = 0; ///< of those, back
    std::uint64_t received = 0;  ///< frames
    std::uint64_t dropped = 0;   ///< frames that found no room here, as the kernel counts them
    std::uint64_t strays = 0;    ///< offsets from the kernel that can not be: never, unless broken
};

/**
 * An AF_XDP socket on one queue of an interface: rings and frames of its own in memory that is
 * shared with others. Needs waking as the kernel asks for it. One thread, except for progress();
 * never allocates after construction.
 */
class Socket {
  public:
    static constexpr std::size_t kBatch = 64;

    /** `place`: which part of the memory is its own; each once. Throws std::system_error; EBUSY
     * when the queue has a socket, or had one until just now. */
    Socket(Umem& umem, const std::string& interface, unsigned queue, unsigned place, Hook hook);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    /** Readable when something was received; silent when the interface is gone. */
    [[nodiscard]] int fd() const;

    [[nodiscard]] unsigned queue() const { return queue_; }

    /** The driver works on the shared memory itself. */
    [[nodiscard]] bool zero_copy() const { return zero_copy_; }

    /** At most kBatch received frames; may be changed in place; valid until release(). */
    std::span<const ByteSpan> receive();
    /** Gives the frames of the last receive() back to the kernel. */
    void release();

    /** A frame to write, of frame_size() bytes; empty when all are on their way. */
    ByteSpan claim();
    /** Puts the frame of the last claim() in line. */
    void submit(std::size_t size);
    /** Has the kernel send what is in line. 0, or an errno value: EAGAIN when some still waits,
     * ENETDOWN when the interface is gone. */
    int flush();
    /** Waits a moment until the kernel can take more. */
    void wait_for_room() const;

    /** Frames that are neither here nor with the kernel: 0, or the count was lost. */
    [[nodiscard]] std::size_t frames_away() const { return send_.away() + receive_.away(); }

    [[nodiscard]] std::size_t sends_away() const { return send_.away(); }

    [[nodiscard]] SocketProgress progress() const;

  private:
    void refill(std::size_t frames);
    void reap();
    void wake_fill() const;
    [[nodiscard]] std::uint32_t unsent() const;

    Umem& umem_;
    unsigned queue_;
    bool zero_copy_ = false;
    xsk_socket* socket_ = nullptr;
    xsk_ring_cons rx_{};
    xsk_ring_prod tx_{};
    xsk_ring_prod fill_{};
    xsk_ring_cons completed_ring_{};
    FreeFrames receive_;
    FreeFrames send_;
    std::array<ByteSpan, kBatch> batch_;
    std::size_t held_ = 0;
    std::uint64_t claimed_ = 0;
    std::atomic<std::uint64_t> submitted_{0};
    std::atomic<std::uint64_t> refused_{0};
    std::atomic<std::uint64_t> completed_{0};
    std::atomic<std::uint64_t> received_{0};
    std::atomic<std::uint64_t> strays_{0};
};

} // namespace weave::fastpath
