// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <xdp/xsk.h>

namespace weave::fastpath {

/**
 * Memory that the kernel and the sockets of one interface share: registered once, each socket works
 * on frames of its own. Outlives the sockets. Throws std::system_error.
 */
class Umem {
  public:
    /** Received frames of one socket, on their way or waiting: 2 ms of 1 million a second. */
    static constexpr std::size_t kReceiveFrames = 2048;
    static constexpr std::size_t kSendFrames = 1024;
    static constexpr std::size_t kSocketFrames = kReceiveFrames + kSendFrames;

    /** Bytes of a frame that the kernel keeps for itself when it receives (XDP_PACKET_HEADROOM). */
    static constexpr std::size_t kHeadroom = 256;

    /** The frame size for an interface of that MTU; 0 when no frame is large enough. */
    static std::size_t frame_size(std::size_t mtu);

    Umem(std::size_t frame_size, unsigned sockets);
    ~Umem();
    Umem(const Umem&) = delete;
    Umem& operator=(const Umem&) = delete;

    [[nodiscard]] std::size_t frame_size() const { return frame_size_; }

    /** The largest Ethernet frame that can be received. */
    [[nodiscard]] std::size_t largest() const { return frame_size_ - kHeadroom; }

    [[nodiscard]] std::uint8_t* at(std::uint64_t offset) const { return memory_.get() + offset; }

  private:
    friend class Socket;

    struct Unmap {
        std::size_t size;
        void operator()(std::uint8_t* memory) const;
    };

    std::size_t frame_size_;
    std::unique_ptr<std::uint8_t, Unmap> memory_;
    xsk_umem* umem_ = nullptr;
    /** Of the first socket, until it takes them. */
    xsk_ring_prod fill_{};
    xsk_ring_cons completed_{};
};

} // namespace weave::fastpath
