// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/init.hpp"
#include "daemon/handover.hpp"
#include "daemon/takeover.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace weave;
using namespace weave::daemon;
using namespace std::chrono_literals;

namespace {

NodeId node_of(std::uint8_t fill) {
    NodeId out;
    out.octets.fill(fill);
    return out;
}

crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

TimePoint at(std::chrono::seconds since_boot) {
    return TimePoint{} + since_boot;
}

HandedPeer some_peer(std::uint8_t fill) {
    HandedPeer out;
    out.node = node_of(fill);
    out.epoch = 7;
    out.path.use = {session::Use::Kind::direct, {IpAddress::v4({192, 0, 2, fill}), 6783}, {}};
    out.path.mtu = {1452, true};
    out.path.rtt = 250us;
    out.path.interface_mtu = 1500;
    HandedKeys& keys = out.keys.emplace_back();
    keys.keys.suite = crypto::Suite::aes256gcm;
    keys.keys.local_lanes = 2;
    keys.keys.remote_lanes = 1;
    keys.keys.local_index = 0x1234'5640;
    keys.keys.remote_index = 0xffff'ffc0;
    keys.keys.send.push_back(key_of(1));
    keys.keys.send.push_back(key_of(2));
    keys.keys.receive.push_back(key_of(3));
    keys.lifetime = {at(100s), TimePoint::max()};
    keys.features = 0x8000'0003;
    out.sending = keys.keys.local_index;
    out.installed = at(90s);
    out.told_unreachable = false;
    return out;
}

Handover some_handover() {
    Handover out;
    out.started = at(5s);
    out.boot_epoch = 9;
    out.mesh_version = 1'000'000'000'000;
    out.handshake_counter = 77;
    out.lanes = {.tap_tso = true, .tap_uso = true, .tap_queues = 2, .udp4 = 2, .udp6 = 0};
    out.records = {{1, 2, 3}, {}};
    out.learned = {MacAddress{{2, 0, 0, 0, 0, 9}}};
    out.locals[{*IpAddress::parse("fd77::2"), 6783}] = *IpAddress::parse("fd77::1");
    session::PeerSessions& sessions = out.sessions.emplace_back();
    sessions.node = node_of(2);
    sessions.static_key.fill(0x22);
    sessions.greatest = {3, 4};
    sessions.greatest_at = at(80s);
    sessions.current = session::SessionAge{0x1234'5640, at(90s), TimePoint::max(), at(270s), true};
    sessions.old.push_back({0x40, at(1s), at(2s), at(3s), false});
    out.peers.push_back(some_peer(2));
    return out;
}

} // namespace

TEST_CASE("what is handed over comes as it went") {
    const Bytes bytes = encode_handover(some_handover());
    const auto read = decode_handover(bytes);
    REQUIRE(read.has_value());
    CHECK(read->boot_epoch == 9);
    CHECK(read->mesh_version == 1'000'000'000'000);
    CHECK(read->records == std::vector<Bytes>{{1, 2, 3}, {}});
    CHECK(read->locals == some_handover().locals);
    CHECK(read->learned == some_handover().learned);
    REQUIRE(read->sessions.size() == 1);
    CHECK(read->sessions[0].greatest == std::pair<std::uint64_t, std::uint64_t>{3, 4});
    REQUIRE(read->sessions[0].current);
    CHECK(read->sessions[0].current->rekey_at == TimePoint::max());
    CHECK_FALSE(read->sessions[0].next);
    REQUIRE(read->peers.size() == 1);
    const HandedPeer& peer = read->peers[0];
    CHECK(peer.path == some_peer(2).path);
    CHECK(peer.sending == 0x1234'5640U);
    CHECK(peer.told_unreachable == false);
    REQUIRE(peer.keys.size() == 1);
    CHECK(peer.keys[0].keys.local_lanes == 2);
    CHECK(peer.keys[0].features == 0x8000'0003);
    CHECK(std::ranges::equal(peer.keys[0].keys.send[1].view(), key_of(2).view()));
    CHECK(encode_handover(*read) == bytes);
}

TEST_CASE("keys come with their suite, and with none that there is not") {
    for (std::uint8_t suite = 0; suite < 6; ++suite) {
        CAPTURE(suite);
        Handover handover = some_handover();
        handover.peers[0].keys[0].keys.suite = static_cast<crypto::Suite>(suite);
        const auto read = decode_handover(encode_handover(handover));
        CHECK(read.has_value() == (suite >= 1 && suite <= 3));
        if (read) {
            CHECK(static_cast<std::uint8_t>(read->peers[0].keys[0].keys.suite) == suite);
        }
    }
}

TEST_CASE("progress comes as it went") {
    HandoverProgress progress;
    dataplane::DataSession::Progress& each = progress[0x40];
    each.sealed = {5, 0};
    each.seen.resize(1);
    each.seen[0].words[3] = 0xff;
    each.seen[0].newest = 200;
    each.seen[0].any = true;
    each.confirmed = true;
    const auto read = decode_progress(encode_progress(progress));
    REQUIRE(read.has_value());
    REQUIRE(read->contains(0x40));
    CHECK(read->at(0x40).sealed == each.sealed);
    CHECK(read->at(0x40).seen[0].words == each.seen[0].words);
    CHECK(read->at(0x40).seen[0].newest == 200);
    CHECK(read->at(0x40).confirmed);
}

TEST_CASE("a part of it is nothing, and neither is more than all of it") {
    Bytes bytes = encode_handover(some_handover());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        CHECK(decode_handover(ByteView{bytes}.first(size)).has_error());
    }
    bytes.push_back(0);
    CHECK(decode_handover(bytes).has_error());
}

TEST_CASE(
    "whatever bytes are changed, reading ends and takes no more memory than there are bytes") {
    const Bytes whole = encode_handover(some_handover());
    for (std::size_t at = 8; at < whole.size(); ++at) {
        Bytes bytes = whole;
        bytes[at] ^= 0xff;
        CAPTURE(at);
        CHECK_NOTHROW(static_cast<void>(decode_handover(bytes)));
    }
}

TEST_CASE("another format is told from damage") {
    Bytes bytes = encode_request({"1.2.3", {}});
    REQUIRE(decode_request(bytes).has_value());
    bytes[4] ^= 1;
    CHECK(decode_request(bytes).error() == std::errc::protocol_not_supported);
    bytes[0] ^= 1;
    CHECK(decode_request(bytes).error() == std::errc::bad_message);
}

TEST_CASE("options that cannot change are named") {
    HandoverFit one{"/s", "/s/c", "6783", "", "weave", "weave-tap", "2", "off"};
    CHECK(one.difference(one).empty());
    HandoverFit other = one;
    other.lanes = "1";
    CHECK(other.difference(one) ==
          "--lanes is 1 and the weaved that runs has 2: that cannot change without a stop");
    other = one;
    other.clear = "on";
    CHECK(other.difference(one) ==
          "--clear is on and the weaved that runs has off: that cannot change without a stop");
    other = one;
    other.listen = "192.0.2.1";
    CHECK(one.difference(other) ==
          "--listen is none and the weaved that runs has 192.0.2.1: that cannot change without a "
          "stop");
}

TEST_CASE("lanes for sparse flows cannot come or go") {
    Options without;
    without.no_sparse_lanes = true;
    const HandoverFit running = handover_fit(Options{}, {}, 2);
    CHECK(handover_fit(Options{}, {}, 2).difference(running).empty());
    CHECK(handover_fit(without, {}, 2).difference(running) ==
          "--lanes is 2 with --no-sparse-lanes and the weaved that runs has 2: that cannot change "
          "without a stop");
}
