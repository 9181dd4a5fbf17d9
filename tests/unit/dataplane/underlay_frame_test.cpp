// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/checksum.hpp"
#include "dataplane/underlay_frame.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace weave;
using namespace weave::dataplane;

namespace {

const FastHop kHop4{0,
                    *MacAddress::parse("02:00:00:00:00:01"),
                    *MacAddress::parse("02:00:00:00:00:02"),
                    *IpAddress::parse("192.0.2.1"),
                    1500};

FastHop hop6() {
    FastHop hop = kHop4;
    hop.source = *IpAddress::parse("2001:db8::1");
    return hop;
}

const Endpoint kTo4{*IpAddress::parse("192.0.2.2"), 6783};
const Endpoint kTo6{*IpAddress::parse("2001:db8::2"), 6784};

Bytes make(const FastHop& hop, const Endpoint& to, const Bytes& payload, std::uint8_t tos = 0) {
    Bytes frame(frame_overhead(to.address) + payload.size(), 0xee);
    std::copy(payload.begin(),
              payload.end(),
              frame.begin() + static_cast<std::ptrdiff_t>(frame_overhead(to.address)));
    put_underlay_headers(frame, hop, to, 6783, tos);
    return frame;
}

} // namespace

TEST_CASE("an IPv4 frame, byte by byte") {
    CHECK(to_hex(make(kHop4, kTo4, {1, 2, 3}, 0xb9)) == "020000000002020000000001"
                                                        "0800"
                                                        "45b9001f00004000"
                                                        "4011b611c0000201c0000202"
                                                        "1a7f1a7f000b42d4"
                                                        "010203");
}

TEST_CASE("an IPv6 frame, byte by byte") {
    CHECK(to_hex(make(hop6(), kTo6, {1, 2, 3}, 0xb9)) == "020000000002020000000001"
                                                         "86dd"
                                                         "6b900000000b1140"
                                                         "20010db8000000000000000000000001"
                                                         "20010db8000000000000000000000002"
                                                         "1a7f1a80000b6b62"
                                                         "010203");
}

TEST_CASE("what is written is read again, and its checksums are right") {
    std::mt19937 random{7};
    for (unsigned round = 0; round < 500; ++round) {
        const bool v4 = round % 2 == 0;
        Bytes payload(random() % 1500);
        for (auto& byte : payload) {
            byte = static_cast<std::uint8_t>(random());
        }
        const auto tos = static_cast<std::uint8_t>(random());
        const Endpoint& to = v4 ? kTo4 : kTo6;
        const FastHop hop = v4 ? kHop4 : hop6();
        Bytes frame = make(hop, to, payload, tos);
        const std::size_t ip = 14;
        const std::size_t udp = v4 ? 34 : 54;
        const ByteView whole{frame};
        if (v4) {
            CHECK(fold(sum_words(whole.subspan(ip, 20))) == 0xffff);
        }
        const std::uint64_t pseudo =
            sum_words(whole.subspan(ip + (v4 ? 12 : 8), v4 ? 8 : 32), network_word(17)) +
            network_word(static_cast<std::uint16_t>(frame.size() - udp));
        CHECK(fold(sum_words(whole.subspan(udp), pseudo)) == 0xffff);
        CHECK((frame[udp + 6] != 0 || frame[udp + 7] != 0));

        frame.resize(frame.size() + random() % 30, 0); // padded on the way
        const auto read = read_underlay_frame(frame);
        REQUIRE(read);
        CHECK(read->from == Endpoint{hop.source, 6783});
        CHECK(read->local == to.address);
        CHECK(Bytes{read->bytes.begin(), read->bytes.end()} == payload);
        CHECK(read->tos == tos);
        CHECK_FALSE(read->truncated);
    }
}

TEST_CASE("frames that no filter lets through are no datagrams") {
    for (const auto& [hop, to] : {std::pair{kHop4, kTo4}, std::pair{hop6(), kTo6}}) {
        const Bytes whole = make(hop, to, Bytes(20));
        for (std::size_t size = 0; size < whole.size(); ++size) {
            Bytes frame{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
            CHECK_FALSE(read_underlay_frame(frame));
        }
        const std::size_t udp = frame_overhead(to.address) - 8;
        for (const auto& [at, value] : {std::pair<std::size_t, std::uint8_t>{12, 0x81},
                                        {13, 0x06},
                                        {14, 0x55},
                                        {to.address.is_v4() ? 23u : 20u, 6},
                                        {udp + 4, 1},
                                        {udp + 5, 7}}) {
            Bytes frame = whole;
            frame[at] = value;
            CAPTURE(at);
            CHECK_FALSE(read_underlay_frame(frame));
        }
    }
}
