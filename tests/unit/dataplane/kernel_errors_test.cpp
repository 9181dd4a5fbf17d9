// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Sends and TAP writes that the kernel refuses.
#include "dataplane/kernel_errors.hpp"
#include "dataplane/tap_port.hpp"
#include "dataplane/train.hpp"
#include "os/fd.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace weave::dataplane::test {
namespace {

using namespace std::chrono_literals;

const auto never_waits = [] { return false; };

/** A TAP whose other end is a socket. */
struct FakeTap {
    FakeTap() {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
        tap.reset(ends[0]);
        pod.reset(ends[1]);
        port = std::make_unique<TapPort>(tap.get(), counters, nullptr);
        at(0s);
    }

    void at(Duration time) { port->begin(TimePoint{} + 1000h + time); }

    /** Writes three frames as a superframe of this shape, or one as it is. */
    void write(std::uint8_t shape, bool refused, std::size_t frames = 3) {
        const std::vector<ByteView> all(frames, frame);
        iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
        // No system call takes this many bytes: EINVAL.
        whole.iov_len = refused ? SIZE_MAX : whole.iov_len;
        VnetHeader vnet;
        vnet.gso_type = frames > 1 ? shape : kGsoNone;
        port->write(vnet, {&whole, 1}, all);
    }

    /** How many messages came. */
    [[nodiscard]] int taken() const {
        int count = 0;
        std::array<std::uint8_t, 200> message;
        while (::read(pod.get(), message.data(), message.size()) > 0) {
            ++count;
        }
        return count;
    }

    const Bytes frame = Bytes(100);
    os::UniqueFd tap, pod;
    LaneCounters counters;
    std::unique_ptr<TapPort> port;
};

} // namespace

TEST_CASE("what each error means, of one packet and of many handed over as one") {
    struct Row {
        int error;
        Verdict send_one, send_train, tap_one, tap_super;
    };

    constexpr Remedy kLose = Remedy::lose;
    constexpr Verdict kSendLost{kLose, Drop::send_failed};
    constexpr Verdict kTapLost{kLose, Drop::tap_write_failed};
    constexpr Verdict kUnreachable{kLose, Drop::send_unreachable};
    constexpr Verdict kDown{kLose, Drop::tap_down};
    constexpr Verdict kTrainRefused{Remedy::split_for_now, Drop::send_failed};
    constexpr Verdict kSuperRefused{Remedy::split_for_now, Drop::tap_write_failed};
    constexpr Verdict kSendAgain{Remedy::again, Drop::send_failed};
    constexpr Verdict kTapAgain{Remedy::again, Drop::tap_write_failed};
    constexpr Verdict kNoMemory{Remedy::again, Drop::send_buffer_full};
    constexpr Verdict kTapNoMemory{Remedy::again, Drop::tap_full};
    constexpr Verdict kRefused{kLose, Drop::send_refused};
    constexpr Verdict kWait{Remedy::wait, Drop::send_buffer_full};
    constexpr Verdict kFull{kLose, Drop::tap_full};
    const Row rows[] = {
        {EINVAL,
         kUnreachable,
         {Remedy::split_for_now, Drop::send_unreachable},
         kTapLost,
         kSuperRefused},
        {EOPNOTSUPP, kSendLost, kTrainRefused, kTapLost, kSuperRefused},
        {EIO, kSendLost, kTrainRefused, kDown, kDown},
        {EMSGSIZE,
         {kLose, Drop::too_big},
         {Remedy::split, Drop::too_big},
         kTapLost,
         {Remedy::split, Drop::tap_write_failed}},
        {EAGAIN, kWait, kWait, kFull, kFull},
        {ENOBUFS, kNoMemory, kNoMemory, kTapNoMemory, kTapNoMemory},
        {ENOMEM, kNoMemory, kNoMemory, kTapNoMemory, kTapNoMemory},
        {EINTR, kSendAgain, kSendAgain, kTapAgain, kTapAgain},
        {ECONNREFUSED, kSendAgain, kSendAgain, kTapAgain, kTapAgain},
        {EPERM, kRefused, kRefused, kTapLost, kTapLost},
        {EACCES, kRefused, kRefused, kTapLost, kTapLost},
        {ENETUNREACH, kUnreachable, kUnreachable, kTapLost, kTapLost},
        {EHOSTUNREACH, kUnreachable, kUnreachable, kTapLost, kTapLost},
        {ENETDOWN, kUnreachable, kUnreachable, kTapLost, kTapLost},
        {EADDRNOTAVAIL, kUnreachable, kUnreachable, kTapLost, kTapLost},
        {EAFNOSUPPORT, kUnreachable, kUnreachable, kTapLost, kTapLost},
        {ENODEV, kUnreachable, kUnreachable, kDown, kDown},
        {ENXIO, kUnreachable, kUnreachable, kDown, kDown},
        {EBADFD, kUnreachable, kUnreachable, kDown, kDown},
        {EBADF, kUnreachable, kUnreachable, kDown, kDown},
        {EDOM, kSendLost, kSendLost, kTapLost, kTapLost},
    };
    for (const Row& row : rows) {
        CAPTURE(row.error);
        CHECK(judge_error(Operation::send, row.error, false) == row.send_one);
        CHECK(judge_error(Operation::send, row.error, true) == row.send_train);
        CHECK(judge_error(Operation::tap_write, row.error, false) == row.tap_one);
        CHECK(judge_error(Operation::tap_write, row.error, true) == row.tap_super);
    }
}

TEST_CASE("one packet is never split, and every error is judged") {
    for (int error = 1; error < 140; ++error) {
        for (const Operation operation : {Operation::send, Operation::tap_write}) {
            const Verdict one = judge_error(operation, error, false);
            CHECK(one.remedy != Remedy::split);
            CHECK(one.remedy != Remedy::split_for_now);
            CHECK(one.reason == judge_error(operation, error, true).reason);
        }
    }
}

TEST_CASE("what is refused is asked for again in a minute, at last once an hour") {
    Abstinence abstinence;
    TimePoint now = TimePoint{} + 1000h;
    CHECK_FALSE(abstinence.holds(now));
    for (const Duration wait : {1min, 2min, 4min, 8min, 16min, 32min, 60min, 60min}) {
        abstinence.refused(now);
        CHECK(abstinence.until() == now + wait);
        CHECK(abstinence.holds(now + wait - 1ns));
        now += wait;
        CHECK_FALSE(abstinence.holds(now));
    }
    abstinence.taken();
    abstinence.refused(now);
    CHECK(abstinence.until() == now + 1min);
}

TEST_CASE("a train that is refused as such goes one by one, and nothing accepted goes twice") {
    const Bytes bytes(250);
    int refusal = 0;
    SUBCASE("EIO: the interface has no checksum offload") {
        refusal = EIO;
    }
    SUBCASE("EINVAL: too many segments for this kernel") {
        refusal = EINVAL;
    }
    SUBCASE("EMSGSIZE: of a train this is no path MTU") {
        refusal = EMSGSIZE;
    }
    std::vector<std::size_t> sizes;
    int fails_at = 2;
    const auto send = [&](ByteView part, std::uint16_t segment) {
        if (segment != 0) {
            return refusal;
        }
        sizes.push_back(part.size());
        return static_cast<int>(sizes.size()) == fails_at ? EPERM : 0;
    };
    TrainResult result = send_train(send, never_waits, bytes, 100, false);
    CHECK(sizes == std::vector<std::size_t>{100, 100, 50});
    CHECK(result.fell_back);
    CHECK(result.sends == 2);
    CHECK(result.lost == 1);
    CHECK(result.reason == Drop::send_refused);
    CHECK_FALSE(result.too_big);
    // The way refuses datagrams as well: trains are not to blame.
    CHECK_FALSE(result.no_trains);
    fails_at = 0;
    result = send_train(send, never_waits, bytes, 100, false);
    CHECK(result.lost == 0);
    CHECK(result.no_trains == (refusal != EMSGSIZE));
}

TEST_CASE("a train that meets another error is lost whole; one datagram has no fallback") {
    int calls = 0;
    const auto send = [&](ByteView, std::uint16_t) {
        ++calls;
        return ENETUNREACH;
    };
    const TrainResult gone = send_train(send, never_waits, Bytes(250), 100, false);
    CHECK(gone.lost == 3);
    CHECK(gone.reason == Drop::send_unreachable);
    CHECK(calls == 1);
    const auto too_big = [](ByteView, std::uint16_t) { return EMSGSIZE; };
    const TrainResult single = send_train(too_big, never_waits, Bytes(90), 90, false);
    CHECK(single.lost == 1);
    CHECK(single.too_big);
    CHECK_FALSE(single.fell_back);
    const auto fine = [](ByteView, std::uint16_t segment) { return segment == 0 ? 0 : EIO; };
    const TrainResult split = send_train(fine, never_waits, Bytes(250), 100, true);
    CHECK(split.sends == 3);
    CHECK_FALSE(split.took_train);
}

TEST_CASE("a storm of EAGAIN or ENOBUFS costs a few calls, and what it spares goes once") {
    for (const int error : {EAGAIN, ENOBUFS}) {
        for (const bool one_by_one : {false, true}) {
            CAPTURE(error);
            CAPTURE(one_by_one);
            int calls = 0;
            int waits = 0;
            int until = 1000000;
            int taken = 0;
            const auto send = [&](ByteView bytes, std::uint16_t segment) {
                if (++calls < until) {
                    return error;
                }
                taken +=
                    static_cast<int>(segment == 0 ? 1 : (bytes.size() + segment - 1) / segment);
                return 0;
            };
            const auto wait = [&] { return ++waits <= 5; };
            const TrainResult storm = send_train(send, wait, Bytes(250), 100, one_by_one);
            CHECK(storm.lost == 3);
            CHECK(storm.reason == Drop::send_buffer_full);
            CHECK(storm.sends == 0);
            CHECK_FALSE(storm.fell_back);
            CHECK(calls <= (one_by_one ? 12 : 4));
            CHECK((waits == 0) == (error == ENOBUFS));
            calls = waits = 0;
            until = 3;
            const TrainResult passed = send_train(send, wait, Bytes(250), 100, one_by_one);
            CHECK(passed.lost == 0);
            CHECK(taken == 3);
        }
    }
}

TEST_CASE("a TAP that refuses superframes gets single frames, until it is asked again") {
    FakeTap tap;
    tap.write(kGsoTcp4, false);
    CHECK(tap.taken() == 1);
    // A single one that is refused is lost, and says nothing of superframes.
    tap.write(kGsoTcp4, true, 1);
    CHECK(tap.counters.dropped(Drop::tap_write_failed) == 1);
    CHECK(tap.counters.no_superframes_until.value() == 0);
    tap.write(kGsoTcp4, true);
    CHECK(tap.counters.tap_gso_fallbacks.value() == 1);
    CHECK(tap.taken() == 3);
    CHECK(tap.counters.no_superframes_until.value() != 0);
    tap.at(59s);
    tap.write(kGsoTcp4, false);
    CHECK(tap.taken() == 3);
    // Other shapes are another matter.
    tap.write(kGsoTcp6, false);
    tap.write(kGsoUdp, false);
    CHECK(tap.taken() == 2);
    tap.at(60s);
    tap.write(kGsoTcp4, true);
    CHECK(tap.taken() == 3);
    tap.at(179s);
    tap.write(kGsoTcp4, false);
    CHECK(tap.taken() == 3);
    tap.at(180s);
    tap.write(kGsoTcp4, false);
    tap.write(kGsoTcp4, false);
    CHECK(tap.taken() == 2);
    CHECK(tap.counters.dropped(Drop::tap_write_failed) == 1);
}

TEST_CASE("a TAP that is down, or full, is not one that refuses superframes") {
    LaneCounters counters;
    TapPort gone{-1, counters, nullptr};
    const Bytes frame(100);
    const ByteView frames[] = {frame, frame};
    const iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
    gone.write({}, {&whole, 1}, frames);
    gone.write({}, {&whole, 1}, std::span{frames}.first(1));
    CHECK(counters.dropped(Drop::tap_down) == 3);
    CHECK(counters.tap_gso_fallbacks.value() == 0);

    FakeTap full;
    const int least = 1;
    ::setsockopt(full.tap.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    for (int i = 0; i < 1000 && full.counters.dropped(Drop::tap_full) == 0; ++i) {
        full.write(kGsoUdp, false);
    }
    CHECK(full.counters.dropped(Drop::tap_full) == 3);
    CHECK(full.counters.tap_gso_fallbacks.value() == 0);
    CHECK(full.taken() > 0);
    full.write(kGsoUdp, false);
    CHECK(full.taken() == 1);
}

} // namespace weave::dataplane::test
