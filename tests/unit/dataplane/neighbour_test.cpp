// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour.hpp"
#include "node.hpp"

#include <doctest/doctest.h>
#include <tins/arp.h>
#include <tins/ethernetII.h>
#include <tins/icmpv6.h>
#include <tins/ipv6.h>

#include <algorithm>

namespace weave::dataplane::test {
namespace {

const MacAddress kBroadcast = *MacAddress::parse("ff:ff:ff:ff:ff:ff");
const MacAddress kMine = *MacAddress::parse("02:00:00:00:00:01");
const MacAddress kHolder = *MacAddress::parse("02:00:00:00:00:02");

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

Tins::HWAddress<6> tins(const MacAddress& mac) {
    return Tins::HWAddress<6>{mac.octets.data()};
}

struct Arp {
    const char* sender = "10.32.0.1";
    const char* target = "10.32.0.2";
    std::uint16_t operation = 1;
    MacAddress from = kMine;
    MacAddress to = kBroadcast;
};

Bytes make(const Arp& arp) {
    Tins::ARP body{arp.target, arp.sender, {}, tins(arp.from)};
    body.opcode(static_cast<Tins::ARP::Flags>(arp.operation));
    auto frame = Tins::EthernetII{tins(arp.to), tins(arp.from)} / body;
    return frame.serialize();
}

struct Solicitation {
    const char* source = "fd32::1";
    const char* target = "fd32::2";
    const char* destination = "ff02::1:ff00:2";
    std::uint8_t type = 135;
    std::uint8_t code = 0;
    std::uint8_t hop_limit = 255;
    bool tells_link = true;
    MacAddress from = kMine;
    MacAddress link = kMine;
};

Bytes make(const Solicitation& ask) {
    Tins::ICMPv6 body{static_cast<Tins::ICMPv6::Types>(ask.type)};
    body.code(ask.code);
    body.target_addr(ask.target);
    if (ask.tells_link) {
        body.source_link_layer_addr(tins(ask.link));
    }
    Tins::IPv6 header{ask.destination, ask.source};
    header.hop_limit(ask.hop_limit);
    const MacAddress to = *MacAddress::parse("33:33:ff:00:00:02");
    auto frame = Tins::EthernetII{tins(to), tins(ask.from)} / header / body;
    return frame.serialize();
}

template <class Spec> std::optional<NeighbourQuestion> read(const Spec& spec) {
    const Bytes frame = make(spec);
    return read_neighbour_question(frame, *parse_frame(frame));
}

/** A copy with one byte changed. */
Bytes with(Bytes frame, std::size_t at, std::uint8_t value) {
    frame[at] = value;
    return frame;
}

bool is_question(ByteView frame) {
    return read_neighbour_question(frame, *parse_frame(frame)).has_value();
}

/** Two nodes that know each other's pod, 10.32.0.1 and fd32::1 on a, 2 on b. */
struct World {
    Node a{1};
    Node b{2};

    World() {
        a.settings.strict_source = b.settings.strict_source = true;
        join(a, b);
        know(a, kLocalPeer, a.pod_mac, "1");
        know(a, 0, b.pod_mac, "2");
        know(b, 0, a.pod_mac, "1");
        know(b, kLocalPeer, b.pod_mac, "2");
    }

    static void know(Node& node, PeerIndex owner, const MacAddress& mac, const std::string& last) {
        const AddressChange changes[] = {{mac, owner},
                                         {*Prefix::parse("10.32.0." + last + "/32"), owner, mac},
                                         {*Prefix::parse("fd32::" + last + "/128"), owner, mac}};
        node.addresses = node.addresses.with(changes);
        node.publish();
    }

    /** What comes back to a's pods; `travelled`: what came to b's. */
    std::vector<Bytes> ask(ByteView frame) {
        a.pod_sends(plain(frame));
        a.step();
        b.step();
        travelled = b.pod_receives().size();
        std::vector<Bytes> out;
        for (Bytes& message : a.pod_receives()) {
            CHECK(std::all_of(message.begin(), message.begin() + 10, [](int c) { return c == 0; }));
            out.emplace_back(message.begin() + sizeof(VnetHeader), message.end());
        }
        return out;
    }

    [[nodiscard]] std::uint64_t answered() const {
        return a.lane->counters().neighbours_answered.value();
    }

    [[nodiscard]] std::uint64_t here() const { return a.lane->counters().neighbours_here.value(); }

    std::size_t travelled = 0;
};

} // namespace

TEST_CASE("an ARP request is read, and nothing else of ARP") {
    const auto question = read(Arp{});
    REQUIRE(question);
    CHECK(question->target == ip("10.32.0.2"));
    CHECK(question->from == ip("10.32.0.1"));
    CHECK(question->asker == kMine);
    CHECK(read(Arp{.sender = "0.0.0.0"}));
    CHECK_FALSE(read(Arp{.target = "10.32.0.1"})); // an announcement
    CHECK_FALSE(read(Arp{.operation = 2}));
    const Bytes frame = make(Arp{});
    REQUIRE(is_question(frame));
    for (const std::size_t at : {14u, 15u, 16u, 17u, 18u, 19u, 20u, 21u}) {
        CHECK_FALSE(is_question(with(frame, at, 9)));
    }
    for (std::size_t size = 14; size < 42; ++size) {
        CHECK_FALSE(is_question(ByteView{frame}.first(size)));
    }
    Bytes tagged = frame;
    const Bytes tag{0x81, 0, 0, 5};
    tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
    CHECK_FALSE(is_question(tagged));
}

TEST_CASE("a neighbour solicitation is read if its readers must not discard it") {
    const auto question = read(Solicitation{});
    REQUIRE(question);
    CHECK(question->target == ip("fd32::2"));
    CHECK(question->from == ip("fd32::1"));
    CHECK(question->asker == kMine);
    CHECK(read(Solicitation{.source = "fe80::1"}));
    CHECK(read(Solicitation{.tells_link = false}));
    CHECK_FALSE(read(Solicitation{.type = 136}));
    CHECK_FALSE(read(Solicitation{.code = 1}));
    CHECK_FALSE(read(Solicitation{.hop_limit = 254}));
    CHECK_FALSE(read(Solicitation{.target = "ff02::1"}));
    CHECK_FALSE(read(Solicitation{.source = "ff02::1"}));
    CHECK_FALSE(read(Solicitation{.target = "::ffff:10.32.0.2"}));
    CHECK_FALSE(read(Solicitation{.link = kHolder}));
    // Duplicate detection: to the solicited nodes, without a link-layer address.
    CHECK(read(Solicitation{.source = "::", .tells_link = false}));
    CHECK_FALSE(read(Solicitation{.source = "::"}));
    CHECK_FALSE(read(Solicitation{.source = "::", .destination = "ff02::1", .tells_link = false}));
    const Bytes frame = make(Solicitation{});
    REQUIRE(is_question(frame));
    CHECK_FALSE(is_question(with(frame, 56, frame[56] ^ 1))); // checksum
    CHECK_FALSE(is_question(with(frame, 79, 0)));             // an option without length
    CHECK_FALSE(is_question(with(frame, 79, 2)));
    for (std::size_t size = 14; size < frame.size(); ++size) {
        CHECK_FALSE(is_question(ByteView{frame}.first(size)));
    }
}

TEST_CASE("an ARP answer is the owner's") {
    const auto frame = NeighbourFrame::answer({ip("10.32.0.2"), ip("10.32.0.1"), kMine}, kHolder);
    Tins::EthernetII ethernet{frame.view().data(), static_cast<std::uint32_t>(frame.view().size())};
    CHECK(ethernet.dst_addr() == tins(kMine));
    CHECK(ethernet.src_addr() == tins(kHolder));
    const auto& arp = ethernet.rfind_pdu<Tins::ARP>();
    CHECK(arp.opcode() == Tins::ARP::REPLY);
    CHECK(arp.sender_hw_addr() == tins(kHolder));
    CHECK(arp.sender_ip_addr().to_string() == "10.32.0.2");
    CHECK(arp.target_hw_addr() == tins(kMine));
    CHECK(arp.target_ip_addr().to_string() == "10.32.0.1");
}

TEST_CASE("a neighbour advertisement is the owner's") {
    const auto check = [](const NeighbourQuestion& question, bool probe) {
        const auto frame = NeighbourFrame::answer(question, kHolder);
        REQUIRE(frame.view().size() == NeighbourFrame::kMaxSize);
        Tins::EthernetII ethernet{frame.view().data(),
                                  static_cast<std::uint32_t>(frame.view().size())};
        CHECK(ethernet.src_addr() == tins(kHolder));
        CHECK(ethernet.dst_addr().to_string() == (probe ? "33:33:00:00:00:01" : kMine.text()));
        const auto& header = ethernet.rfind_pdu<Tins::IPv6>();
        CHECK(header.hop_limit() == 255);
        CHECK(header.src_addr().to_string() == "fd32::2");
        CHECK(header.dst_addr().to_string() == (probe ? "ff02::1" : "fd32::1"));
        const auto& advert = ethernet.rfind_pdu<Tins::ICMPv6>();
        CHECK(advert.type() == Tins::ICMPv6::NEIGHBOUR_ADVERT);
        CHECK(advert.code() == 0);
        CHECK(advert.solicited() == (probe ? 0 : 1));
        CHECK(advert.override() == 1);
        CHECK(advert.router() == 0);
        CHECK(advert.target_addr().to_string() == "fd32::2");
        CHECK(advert.target_link_layer_addr() == tins(kHolder));
        // libtins sums again when it writes.
        const auto said = advert.checksum();
        const Bytes again = ethernet.serialize();
        CHECK(Bytes(frame.view().begin(), frame.view().end()) == again);
        CHECK(said != 0);
    };
    check({ip("fd32::2"), ip("fd32::1"), kMine}, false);
    check({ip("fd32::2"), ip("::"), kMine}, true);
}

TEST_CASE("an announcement is a gratuitous one to all") {
    const auto four = NeighbourFrame::announcement(ip("10.32.0.2"), kHolder);
    Tins::EthernetII ethernet{four.view().data(), static_cast<std::uint32_t>(four.view().size())};
    CHECK(ethernet.dst_addr() == tins(kBroadcast));
    const auto& arp = ethernet.rfind_pdu<Tins::ARP>();
    CHECK(arp.sender_ip_addr() == arp.target_ip_addr());
    CHECK(arp.sender_hw_addr() == tins(kHolder));
    const auto six = NeighbourFrame::announcement(ip("fd32::2"), kHolder);
    Tins::EthernetII other{six.view().data(), static_cast<std::uint32_t>(six.view().size())};
    const auto& advert = other.rfind_pdu<Tins::ICMPv6>();
    CHECK(advert.override() == 1);
    CHECK(advert.solicited() == 0);
    CHECK(advert.target_link_layer_addr() == tins(kHolder));
    CHECK(other.serialize() == Bytes(six.view().begin(), six.view().end()));
    // Neither is a question that somebody would answer.
    CHECK_FALSE(is_question(four.view()));
    CHECK_FALSE(is_question(six.view()));
}

TEST_CASE("what is asked of another node's address is answered here and does not travel") {
    World world;
    const auto expect = [&](const Bytes& frame, const NeighbourQuestion& question) {
        const auto got = world.ask(frame);
        REQUIRE(got.size() == 1);
        const NeighbourFrame right = NeighbourFrame::answer(question, world.b.pod_mac);
        CHECK(got[0] == Bytes(right.view().begin(), right.view().end()));
        CHECK(world.travelled == 0);
    };
    const MacAddress& mine = world.a.pod_mac;
    expect(make(Arp{}), {ip("10.32.0.2"), ip("10.32.0.1"), mine});
    expect(make(Solicitation{}), {ip("fd32::2"), ip("fd32::1"), mine});
    expect(make(Solicitation{.source = "fe80::1"}), {ip("fd32::2"), ip("fe80::1"), mine});
    // Who means to take the address learns that it is taken.
    expect(make(Arp{.sender = "0.0.0.0"}), {ip("10.32.0.2"), ip("0.0.0.0"), mine});
    expect(make(Solicitation{.source = "::", .tells_link = false}),
           {ip("fd32::2"), ip("::"), mine});
    CHECK(world.answered() == 5);
    CHECK(world.here() == 0);
}

TEST_CASE("of an address that another host routes to the router's MAC is the answer") {
    World world;
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    world.a.settings.router_mac = router;
    const AddressChange routed{*Prefix::parse("10.32.0.3/32"), 0, router};
    world.a.addresses = world.a.addresses.with({&routed, 1});
    world.a.publish();
    const auto got = world.ask(make(Arp{.target = "10.32.0.3"}));
    REQUIRE(got.size() == 1);
    const NeighbourFrame right =
        NeighbourFrame::answer({ip("10.32.0.3"), ip("10.32.0.1"), world.a.pod_mac}, router);
    CHECK(got[0] == Bytes(right.view().begin(), right.view().end()));
    CHECK(world.travelled == 0);
}

TEST_CASE("what is asked of an address here neither travels nor is answered") {
    World world;
    for (const Bytes& frame :
         {make(Arp{.sender = "0.0.0.0", .target = "10.32.0.1"}),
          make(Arp{.sender = "169.254.0.1", .target = "10.32.0.1"}),
          make(Solicitation{.source = "fe80::1", .target = "fd32::1"}),
          make(Solicitation{.source = "::", .target = "fd32::1", .tells_link = false})}) {
        CHECK(world.ask(frame).empty());
        CHECK(world.travelled == 0);
    }
    CHECK(world.here() == 4);
    CHECK(world.answered() == 0);
}

TEST_CASE("all else goes to all as it did") {
    World world;
    const auto travels = [&](const Bytes& frame) {
        CHECK(world.ask(frame).empty());
        return world.travelled == 1;
    };
    CHECK(travels(make(Arp{.target = "10.32.0.9"}))); // nobody's
    CHECK(travels(make(Solicitation{.target = "fd32::9"})));
    CHECK(travels(make(Arp{.target = "10.32.0.1"}))); // announcements
    CHECK(travels(make(Arp{.target = "10.32.0.1", .operation = 2})));
    CHECK(travels(make(Solicitation{.target = "fe80::2"})));
    // Straight to the owner: whether it is still alive is for it to say.
    CHECK(travels(make(Arp{.to = world.b.pod_mac})));
    SUBCASE("the MAC is not told") {
        const AddressChange change{*Prefix::parse("10.32.0.2/32"), 0};
        world.a.addresses = world.a.addresses.with({&change, 1});
        world.a.publish();
        CHECK(travels(make(Arp{})));
    }
    SUBCASE("the MAC is another node's or nobody's") {
        for (const char* mac : {"02:00:00:00:00:01", "02:00:00:00:00:77"}) {
            const AddressChange change{*Prefix::parse("10.32.0.2/32"), 0, *MacAddress::parse(mac)};
            world.a.addresses = world.a.addresses.with({&change, 1});
            world.a.publish();
            CHECK(travels(make(Arp{})));
        }
    }
    CHECK(world.answered() + world.here() == 0);
}

TEST_CASE("who asks in another's name gets no answer, and is counted where it arrives") {
    World world;
    std::uint64_t refused = 0;
    Arp other_link;
    Bytes lies = make(other_link);
    lies[14 + 8 + 5] = 0x77; // the sender's MAC is not the frame's
    for (const Bytes& frame : {make(Arp{.sender = "10.32.0.9"}),
                               make(Arp{.sender = "10.32.0.2", .target = "10.32.0.1"}),
                               make(Arp{.from = *MacAddress::parse("02:00:00:00:00:77")}),
                               make(Solicitation{.source = "fd32::9"}),
                               lies}) {
        CHECK(world.ask(frame).empty());
        CHECK(world.travelled == 0);
        CHECK(world.b.dropped(Drop::source_not_owned) == ++refused);
    }
    CHECK(world.answered() + world.here() == 0);
}

} // namespace weave::dataplane::test
