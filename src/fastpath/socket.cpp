// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/socket.hpp"

#include "os/error.hpp"

#include <cerrno>
#include <utility>

#include <linux/if_xdp.h>
#include <poll.h>
#include <sys/socket.h>

namespace weave::fastpath {
namespace {

/** One thread writes. */
void raise(std::atomic<std::uint64_t>& count, std::uint64_t amount) {
    count.store(count.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

} // namespace

Socket::Socket(Umem& umem, const std::string& interface, unsigned queue, unsigned place, Hook hook)
    : umem_(umem)
    , queue_(queue)
    , receive_(
          place * Umem::kSocketFrames * umem.frame_size(), Umem::kReceiveFrames, umem.frame_size())
    , send_((place * Umem::kSocketFrames + Umem::kReceiveFrames) * umem.frame_size(),
            Umem::kSendFrames,
            umem.frame_size()) {
    xsk_socket_config config{};
    config.rx_size = Umem::kReceiveFrames;
    config.tx_size = Umem::kSendFrames;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD; // ours is on the interface
    // Without a word about copies the kernel shares memory with the driver where that can be.
    // Behind the driver nothing can.
    config.bind_flags =
        static_cast<std::uint16_t>(XDP_USE_NEED_WAKEUP | (hook == Hook::generic ? XDP_COPY : 0));
    if (const int error = xsk_socket__create_shared(&socket_,
                                                    interface.c_str(),
                                                    queue,
                                                    umem.umem_,
                                                    &rx_,
                                                    &tx_,
                                                    &fill_,
                                                    &completed_ring_,
                                                    &config)) {
        os::throw_error(-error,
                        "cannot open an AF_XDP socket on queue " + std::to_string(queue) + " of " +
                            interface);
    }
    xdp_options options{};
    socklen_t size = sizeof options;
    zero_copy_ = ::getsockopt(fd(), SOL_XDP, XDP_OPTIONS, &options, &size) == 0 &&
                 (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    refill(Umem::kReceiveFrames);
}

Socket::~Socket() {
    xsk_socket__delete(socket_);
}

int Socket::fd() const {
    return xsk_socket__fd(socket_);
}

std::span<const ByteSpan> Socket::receive() {
    std::uint32_t at = 0;
    const std::uint32_t count = xsk_ring_cons__peek(&rx_, kBatch, &at);
    held_ = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        const xdp_desc* frame = xsk_ring_cons__rx_desc(&rx_, at + i);
        if (!receive_.give_back(frame->addr)) {
            raise(strays_, 1);
            continue;
        }
        batch_[held_++] = {umem_.at(frame->addr), frame->len};
    }
    xsk_ring_cons__release(&rx_, count);
    raise(received_, held_);
    return std::span{batch_}.first(held_);
}

void Socket::release() {
    refill(std::exchange(held_, 0));
    // A ring that ran dry stays so until the driver is told that there is something in it.
    wake_fill();
}

void Socket::refill(std::size_t frames) {
    std::uint32_t at = 0;
    // There is room for every frame.
    const std::uint32_t count =
        xsk_ring_prod__reserve(&fill_, static_cast<std::uint32_t>(frames), &at);
    for (std::uint32_t i = 0; i < count; ++i) {
        *xsk_ring_prod__fill_addr(&fill_, at + i) = receive_.take();
    }
    xsk_ring_prod__submit(&fill_, count);
}

void Socket::wake_fill() const {
    if (xsk_ring_prod__needs_wakeup(&fill_) != 0) {
        ::recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    }
}

void Socket::reap() {
    std::uint32_t at = 0;
    const std::uint32_t count = xsk_ring_cons__peek(&completed_ring_, Umem::kSendFrames, &at);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!send_.give_back(*xsk_ring_cons__comp_addr(&completed_ring_, at + i))) {
            raise(strays_, 1);
        }
    }
    xsk_ring_cons__release(&completed_ring_, count);
    raise(completed_, count);
}

ByteSpan Socket::claim() {
    if (send_.count() == 0) {
        reap();
    }
    if (send_.count() == 0) {
        raise(refused_, 1);
        return {};
    }
    claimed_ = send_.take();
    return {umem_.at(claimed_), umem_.frame_size()};
}

void Socket::submit(std::size_t size) {
    std::uint32_t at = 0;
    // As many places as frames.
    if (xsk_ring_prod__reserve(&tx_, 1, &at) == 0) {
        send_.give_back(claimed_);
        return;
    }
    *xsk_ring_prod__tx_desc(&tx_, at) = {claimed_, static_cast<std::uint32_t>(size), 0};
    xsk_ring_prod__submit(&tx_, 1);
    raise(submitted_, 1);
}

std::uint32_t Socket::unsent() const {
    return *tx_.producer - __atomic_load_n(tx_.consumer, __ATOMIC_ACQUIRE);
}

int Socket::flush() {
    int error = 0;
    // In copy mode the kernel sends some 32 frames for each call.
    std::uint32_t left = unsent();
    while (left != 0 && xsk_ring_prod__needs_wakeup(&tx_) != 0) {
        error = ::sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
        const std::uint32_t before = std::exchange(left, unsent());
        const bool transient =
            error == 0 || error == EAGAIN || error == EBUSY || error == ENOBUFS || error == EINTR;
        if (!transient || left == before) {
            break;
        }
    }
    reap();
    if (left == 0) {
        return 0;
    }
    return error != 0 && error != EBUSY && error != ENOBUFS && error != EINTR ? error : EAGAIN;
}

void Socket::wait_for_room() const {
    constexpr int kMilliseconds = 5;
    pollfd wait{fd(), POLLOUT, 0};
    ::poll(&wait, 1, kMilliseconds);
}

SocketProgress Socket::progress() const {
    SocketProgress out;
    out.submitted = submitted_.load(std::memory_order_relaxed);
    out.refused = refused_.load(std::memory_order_relaxed);
    out.completed = completed_.load(std::memory_order_relaxed);
    out.received = received_.load(std::memory_order_relaxed);
    out.strays = strays_.load(std::memory_order_relaxed);
    xdp_statistics counted{};
    socklen_t size = sizeof counted;
    if (::getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &counted, &size) == 0) {
        out.dropped = counted.rx_dropped + counted.rx_ring_full;
    }
    return out;
}

} // namespace weave::fastpath
