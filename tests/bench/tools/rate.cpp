// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/load.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <system_error>

#include <poll.h>
#include <sys/socket.h>

namespace weave::bench {
namespace {

constexpr unsigned kBatch = 64;
/** Without a first datagram for this long, or with none any more, the sink gives up. */
constexpr int kSilenceMs = 2000;

/** What arrives while others have the processor is not to be lost here. */
void widen(int fd) {
    constexpr int kBytes = 4 << 20;
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBytes, sizeof kBytes) < 0) {
        throw std::system_error(errno, std::generic_category(), "SO_RCVBUFFORCE");
    }
}

/** Takes datagrams without looking at them. */
class Drain {
  public:
    Drain() {
        for (unsigned i = 0; i < kBatch; ++i) {
            vectors_[i] = {memory_[i].data(), memory_[i].size()};
            messages_[i].msg_hdr.msg_iov = &vectors_[i];
            messages_[i].msg_hdr.msg_iovlen = 1;
        }
    }

    Drain(const Drain&) = delete;
    Drain& operator=(const Drain&) = delete;

    /** How many came; adds their sizes to `bytes`. */
    unsigned take(int fd, std::uint64_t& bytes) {
        const int count = ::recvmmsg(fd, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < count; ++i) {
            bytes += messages_[static_cast<std::size_t>(i)].msg_len;
        }
        return count < 0 ? 0 : static_cast<unsigned>(count);
    }

  private:
    std::array<std::array<std::uint8_t, 2048>, kBatch> memory_{};
    std::array<iovec, kBatch> vectors_{};
    std::array<mmsghdr, kBatch> messages_{};
};

} // namespace

void flood(const RateSettings& settings) {
    const os::UniqueFd fd = open_socket(SOCK_DGRAM, 0);
    connect_to(fd.get(), settings.address, settings.port);
    const std::vector<std::uint8_t> datagram(settings.bytes);
    const auto begin = Time::now();
    const auto end = begin + std::chrono::duration_cast<Time::duration>(settings.seconds);
    std::uint64_t sent = 0;
    auto now = begin;
    for (std::uint64_t tries = 0; now < end && !told_to_end(); ++tries) {
        sent += ::send(fd.get(), datagram.data(), datagram.size(), 0) >= 0 ? 1U : 0U;
        if (tries % 16 == 0) {
            now = Time::now();
        }
    }
    fmt::print("{{\"sent\": {}, \"per_second\": {:.1f}}}\n",
               sent,
               static_cast<double>(sent) / Seconds(Time::now() - begin).count());
}

void sink(const RateSettings& settings) {
    const os::UniqueFd fd = open_socket(SOCK_DGRAM, 0);
    widen(fd.get());
    bind_to(fd.get(), settings.port);
    Drain drain;
    std::optional<Time::time_point> begin; // of what counts
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    Seconds counted{0};
    while (!told_to_end() && counted < settings.seconds) {
        pollfd ready{fd.get(), POLLIN, 0};
        if (::poll(&ready, 1, kSilenceMs) <= 0) {
            break;
        }
        const unsigned came = drain.take(fd.get(), bytes);
        const auto now = Time::now();
        if (!begin) {
            begin = now + std::chrono::duration_cast<Time::duration>(settings.warm_up);
        }
        if (now < *begin) {
            bytes = 0;
            continue;
        }
        count += came;
        counted = now - *begin;
    }
    const double seconds = std::max(counted.count(), 1e-9);
    fmt::print(
        "{{\"datagrams\": {}, \"bytes\": {}, \"seconds\": {:.4f}, \"per_second\": {:.1f}}}\n",
        count,
        bytes,
        counted.count(),
        static_cast<double>(count) / seconds);
}

} // namespace weave::bench
