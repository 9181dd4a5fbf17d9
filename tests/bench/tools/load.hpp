// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "os/fd.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

/**
 * The parts of `load`, which makes traffic inside a benchmark's pods and says what came of it. Each
 * call runs until its time is over or the process is told to end, and throws std::system_error.
 */
namespace weave::bench {

using Seconds = std::chrono::duration<double>;
/** CLOCK_MONOTONIC, which is Python's time.monotonic() too. */
using Time = std::chrono::steady_clock;

struct PingSettings {
    IpAddress address; ///< IPv4
    double per_second = 1000;
    Seconds seconds{3600};
    std::string output; ///< one line each: number, nanoseconds when sent and when answered, or 0
};

struct AskSettings {
    std::vector<IpAddress> addresses; ///< IPv4; asked in turn
    std::uint16_t port = 0;
    std::size_t bytes = 64;
    Seconds seconds{1};
    Seconds pause{0};   ///< between an answer and the next request
    std::string output; ///< one line each: the round trip in microseconds
};

struct RateSettings {
    IpAddress address; ///< IPv4; of the flood alone
    std::uint16_t port = 0;
    std::size_t bytes = 64; ///< of each datagram; of the flood alone
    Seconds seconds{1};
    Seconds warm_up{0.5}; ///< from the first datagram, not counted; of the sink alone
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
/** A new or emptied file to write to. */
File create(const std::string& path);

/** SIGTERM or SIGINT came. */
bool told_to_end() noexcept;
/** Makes told_to_end() work: blocking calls return early then. */
void end_when_told();
/** From now on this thread runs before ordinary ones, so that it measures the network and not its
 * own waiting. Where that is not allowed it is said on stderr. */
void run_first();

os::UniqueFd open_socket(int type, int protocol);
void connect_to(int fd, const IpAddress& address, std::uint16_t port);
void bind_to(int fd, std::uint16_t port);

/** ICMP echo requests at a steady pace, whatever becomes of those before. */
void ping(const PingSettings& settings);
/** UDP requests, each when the one before was answered; JSON with how many were. */
void ask(const AskSettings& settings);
/** Sends back what comes by UDP. */
void answer(std::uint16_t port);
/** UDP datagrams as fast as one thread hands them to the kernel. */
void flood(const RateSettings& settings);
/** Counts what arrives at a UDP socket; JSON with datagrams a second. */
void sink(const RateSettings& settings);

} // namespace weave::bench
