// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/load.hpp"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <tuple>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weave::bench {
namespace {

/** What is sent: the number is repeated in full, as ICMP's has 16 bits only. */
struct Echo {
    icmphdr header;
    std::uint32_t number;
    std::uint32_t padding[12]; // 64 bytes in all, as the program ping
};

struct Row {
    std::int64_t sent = 0;
    std::int64_t answered = 0;
};

constexpr auto kStragglers = std::chrono::seconds(1);

std::int64_t nanoseconds(Time::time_point time) {
    return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

/** RFC 1071, of an even number of bytes. */
std::uint16_t checksum(const Echo& echo) {
    std::array<std::uint16_t, sizeof echo / 2> words{};
    std::memcpy(words.data(), &echo, sizeof echo);
    std::uint32_t sum = 0;
    for (const std::uint16_t word : words) {
        sum += word;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return static_cast<std::uint16_t>(~(sum + (sum >> 16)));
}

class Pinger {
  public:
    explicit Pinger(const IpAddress& address)
        : socket_(open_socket(SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP))
        , id_(static_cast<std::uint16_t>(::getpid())) {
        connect_to(socket_.get(), address, 0);
    }

    /** One that the kernel does not take counts as lost. */
    void send() {
        Echo echo{};
        echo.header.type = ICMP_ECHO;
        echo.header.un.echo.id = htons(id_);
        echo.number = static_cast<std::uint32_t>(rows_.size());
        echo.header.un.echo.sequence = htons(static_cast<std::uint16_t>(echo.number));
        echo.header.checksum = checksum(echo);
        rows_.push_back({nanoseconds(Time::now()), 0});
        std::ignore = ::send(socket_.get(), &echo, sizeof echo, 0);
    }

    /** Takes what came until `end`, or until all was answered. */
    void receive_until(Time::time_point end, bool leave_when_complete) {
        for (auto now = Time::now(); now < end; now = Time::now()) {
            if (leave_when_complete && answered_ == rows_.size()) {
                return;
            }
            const auto left = std::chrono::nanoseconds(end - now).count();
            const timespec wait{left / 1'000'000'000, left % 1'000'000'000};
            pollfd ready{socket_.get(), POLLIN, 0};
            if (::ppoll(&ready, 1, &wait, nullptr) > 0) {
                receive();
            }
        }
    }

    void write(const std::string& path) const {
        const File file = create(path);
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            fmt::print(file.get(), "{} {} {}\n", i, rows_[i].sent, rows_[i].answered);
        }
    }

  private:
    void receive() {
        std::array<std::uint8_t, 2048> packet; // NOLINT: filled by recv()
        ssize_t size = 0;
        while ((size = ::recv(socket_.get(), packet.data(), packet.size(), 0)) > 0) {
            const std::size_t header = (packet[0] & 15U) * 4U;
            Echo echo; // NOLINT: filled below
            if (static_cast<std::size_t>(size) < header + sizeof echo) {
                continue;
            }
            std::memcpy(&echo, packet.data() + header, sizeof echo);
            if (echo.header.type == ICMP_ECHOREPLY && echo.header.un.echo.id == htons(id_) &&
                echo.number < rows_.size() && rows_[echo.number].answered == 0) {
                rows_[echo.number].answered = nanoseconds(Time::now());
                ++answered_;
            }
        }
    }

    os::UniqueFd socket_;
    std::uint16_t id_;
    std::vector<Row> rows_;
    std::size_t answered_ = 0;
};

} // namespace

void ping(const PingSettings& settings) {
    run_first();
    Pinger pinger(settings.address);
    const auto interval =
        std::chrono::duration_cast<Time::duration>(Seconds{1 / settings.per_second});
    const auto begin = Time::now();
    const auto end = begin + std::chrono::duration_cast<Time::duration>(settings.seconds);
    for (auto next = begin; next < end && !told_to_end(); next += interval) {
        pinger.receive_until(next, false);
        pinger.send();
    }
    pinger.receive_until(Time::now() + kStragglers, true);
    pinger.write(settings.output);
}

} // namespace weave::bench
