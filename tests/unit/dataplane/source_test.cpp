// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/source_check.hpp"
#include "frames.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace weave::dataplane::test {
namespace {

const MacAddress kPodB = *MacAddress::parse("02:00:00:00:00:0b");
const MacAddress kPodC = *MacAddress::parse("02:00:00:00:00:0c");
const MacAddress kNobody = *MacAddress::parse("02:00:00:00:00:99");

/** What peer 1 (fd32::2, 10.32.0.2) may say beside peer 2 (fd32::3, 10.32.0.3). */
class World {
  public:
    World() {
        const std::vector<AddressChange> changes{
            {kPodB, 1},
            {kPodC, 2},
            {*Prefix::parse("fd32::2/128"), 1},
            {*Prefix::parse("fd32::3/128"), 2},
            {*Prefix::parse("10.32.0.2/32"), 1},
            {*Prefix::parse("10.32.0.3/32"), 2},
        };
        snapshot_.addresses = std::make_shared<AddressTable>(AddressTable{}.with(changes));
        check_.begin(snapshot_);
    }

    bool may(ByteView frame) {
        const auto packet = parse_frame(frame);
        return packet && check_.belong_to(1, frame, *packet);
    }

  private:
    Snapshot snapshot_;
    SourceCheck check_;
};

struct Message {
    std::uint8_t type = 136;
    const char* source = "fd32::2";
    const char* target = "fd32::2";
    std::uint8_t option = 2;
    MacAddress link = kPodB;
    bool extended = false;
};

void put(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes discovery(const Message& say) {
    Bytes body(8);
    body[0] = say.type;
    if (say.type == 134) {
        body.resize(16);
    } else if (say.type != 133) {
        put(body, IpAddress::parse(say.target)->bytes());
        body.resize(say.type == 137 ? 40 : 24);
    }
    put(body, Bytes{say.option, 1});
    put(body, say.link.octets);
    Bytes out;
    put(out, MacAddress::parse("33:33:00:00:00:01")->octets);
    put(out, kPodB.octets);
    put(out, Bytes{0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 58, 255});
    store_be16(&out[18], body.size() + (say.extended ? 8 : 0));
    put(out, IpAddress::parse(say.source)->bytes());
    put(out, IpAddress::parse("ff02::1")->bytes());
    if (say.extended) {
        out[20] = 0;
        put(out, Bytes{58, 0, 1, 4, 0, 0, 0, 0});
    }
    put(out, body);
    return out;
}

Bytes arp(const char* sender, const MacAddress& link) {
    Bytes out;
    put(out, MacAddress::parse("ff:ff:ff:ff:ff:ff")->octets);
    put(out, kPodB.octets);
    put(out, Bytes{8, 6, 0, 1, 8, 0, 6, 4, 0, 2});
    put(out, link.octets);
    put(out, ByteView{IpAddress::parse(sender)->bytes()}.first(4));
    out.resize(42);
    return out;
}

} // namespace

TEST_CASE("a neighbour advertisement is for the sender's own addresses") {
    World world;
    CHECK(world.may(discovery({})));
    CHECK(world.may(discovery({.source = "fe80::2"})));
    CHECK(world.may(discovery({.source = "fe80::2", .target = "fe80::2"})));
    // What was approved before does not cover them.
    FrameSpec plain;
    plain.from = kPodB;
    plain.source = *IpAddress::parse("fd32::2");
    plain.destination = *IpAddress::parse("fd32::1");
    CHECK(world.may(make_frame(plain, pattern(20))));
    for (const char* source : {"fd32::2", "fe80::2"}) {
        for (const bool extended : {false, true}) {
            for (const std::uint8_t type : Bytes{136, 137}) {
                Message message;
                message.type = type;
                message.source = source;
                message.extended = extended;
                CHECK(world.may(discovery(message)));
                message.target = "fd32::3";
                CHECK_FALSE(world.may(discovery(message)));
                message.target = "fd32::99";
                CHECK_FALSE(world.may(discovery(message)));
            }
        }
    }
}

TEST_CASE("link-layer options tell the sender's own hardware addresses") {
    World world;
    for (const std::uint8_t type : Bytes{133, 134, 135, 136, 137}) {
        for (const std::uint8_t option : Bytes{1, 2}) {
            CAPTURE(int{type});
            Message message;
            message.type = type;
            message.option = option;
            CHECK(world.may(discovery(message)));
            message.link = kPodC;
            CHECK_FALSE(world.may(discovery(message)));
            message.link = kNobody;
            CHECK_FALSE(world.may(discovery(message)));
        }
    }
    // A solicitation asks for addresses of others.
    CHECK(world.may(discovery({.type = 135, .target = "fd32::3", .option = 1})));
    Bytes cut = discovery({});
    cut[14 + 40 + 25] = 0;
    CHECK_FALSE(world.may(cut));
    cut[14 + 40 + 25] = 2;
    CHECK_FALSE(world.may(cut));
}

TEST_CASE("transport headers behind endless extension headers are nobody's") {
    World world;
    Bytes frame = discovery({.extended = true});
    const Bytes extension(frame.begin() + 54, frame.begin() + 62);
    for (int i = 0; i < 8; ++i) {
        frame.insert(frame.begin() + 54, extension.begin(), extension.end());
        frame[54] = 60;
        store_be16(&frame[18], frame.size() - 54);
    }
    CHECK_FALSE(world.may(frame));
}

TEST_CASE("ARP tells the hardware address the frame comes from") {
    World world;
    CHECK(world.may(arp("10.32.0.2", kPodB)));
    CHECK(world.may(arp("0.0.0.0", kPodB)));
    CHECK_FALSE(world.may(arp("10.32.0.3", kPodB)));
    CHECK_FALSE(world.may(arp("10.32.0.2", kPodC)));
    CHECK_FALSE(world.may(arp("10.32.0.2", kNobody)));
    Bytes odd = arp("10.32.0.2", kPodB);
    odd[18] = 8;
    CHECK_FALSE(world.may(odd));
}

TEST_CASE("an IPv4-mapped address is seen in either place") {
    FrameSpec spec;
    spec.source = *IpAddress::parse("fd32::2");
    spec.destination = *IpAddress::parse("fd32::3");
    const Bytes good = make_frame(spec, pattern(8));
    CHECK_FALSE(bears_mapped_address(good, *parse_frame(good)));
    for (const std::size_t at : {22u, 38u}) {
        Bytes bad = good;
        std::fill_n(bad.begin() + static_cast<std::ptrdiff_t>(at), 10, std::uint8_t{0});
        bad[at + 10] = bad[at + 11] = 0xff;
        CHECK(bears_mapped_address(bad, *parse_frame(bad)));
    }
}

} // namespace weave::dataplane::test
