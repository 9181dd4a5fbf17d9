// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// One mesh machine and what neighbours of all kinds tell it.
#include "support.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;
using Kind = wire::LinkMessageKind;

namespace {

/** Stamps and ids a message of lines carries. */
std::vector<wire::DigestLine> lines_in(const std::vector<Bytes>& messages) {
    std::vector<wire::DigestLine> out;
    for (const Bytes& message : messages) {
        const ByteView body = wire::link_message_body(message);
        if (wire::link_message_kind(message) == Kind::digest && !wire::is_bucket_digest(body)) {
            const auto digest = wire::decode_line_digest(body);
            out.insert(out.end(), digest->lines.begin(), digest->lines.end());
        }
    }
    return out;
}

std::vector<wire::Record> records_in(const std::vector<Bytes>& messages) {
    std::vector<wire::Record> out;
    for (const Bytes& message : messages) {
        if (wire::link_message_kind(message) != Kind::records) {
            continue;
        }
        const auto batch = wire::decode_batch(wire::link_message_body(message));
        for (const ByteView raw : *batch) {
            out.push_back(*wire::decode_record(raw, fake_identify));
        }
    }
    return out;
}

Bytes announcement(const wire::Record& record, wire::Stamp stamp) {
    wire::LineDigest digest;
    digest.lines.push_back({record.id(), stamp});
    return wire::encode_digest(digest);
}

} // namespace

TEST_CASE("bad input is counted, and changes nothing") {
    Solo solo;
    solo.link(2);
    solo.sent.clear();
    const auto good = record_of(2, {1, 1});
    Bytes forged = batch_of({good});
    forged.back() ^= 1;
    solo.mesh.on_message(2, forged, solo.now);
    solo.mesh.on_message(2, {}, solo.now);
    solo.mesh.on_message(2, Bytes{200, 1, 2}, solo.now);
    solo.mesh.on_message(2, Bytes{2, 1, 2}, solo.now);
    solo.mesh.on_message(2, Bytes{3, 200, 0, 1, 2}, solo.now);
    solo.mesh.on_message(2, Bytes{4, 9}, solo.now);
    solo.mesh.on_message(77, batch_of({good}), solo.now);
    solo.mesh.on_message(2, Bytes(wire::kMaxLinkMessage + 1, 3), solo.now);
    solo.mesh.on_message(2, wire::encode_notice(wire::LinkMessageKind::notice, {}), solo.now);
    solo.mesh.on_message(2, wire::encode_notice(wire::LinkMessageKind::close, {}), solo.now);
    solo.pass(1s);
    CHECK(solo.counts["mesh_bad_signature"] == 1);
    CHECK(solo.counts["mesh_malformed_message"] == 6);
    CHECK(solo.counts["mesh_unknown_message"] == 1);
    CHECK(solo.mesh.store().nodes() == 1);
    CHECK(solo.mesh.links().size() == 1);
    CHECK(solo.sent.empty());
}

TEST_CASE("every altered byte of a record is noticed") {
    Solo solo;
    solo.link(2);
    const auto record = record_of(2, {1, 1}, 9, filler(5));
    const Bytes message = batch_of({record});
    for (std::size_t at = message.size() - record->raw.size(); at < message.size(); ++at) {
        CAPTURE(at);
        Bytes altered = message;
        altered[at] ^= 0x10;
        solo.mesh.on_message(2, altered, solo.now);
        CHECK(solo.mesh.store().nodes() == 1);
    }
    solo.mesh.on_message(2, message, solo.now);
    CHECK(solo.mesh.store().nodes() == 2);
}

TEST_CASE("only greater stamps are accepted, whoever brings them") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    solo.hears(2, {record_of(2, {2, 5})});
    solo.accepted.clear();
    solo.hears(3, {record_of(2, {2, 5}), record_of(2, {2, 4}), record_of(2, {1, 9})});
    CHECK(solo.accepted.empty());
    CHECK(solo.counts["mesh_record_not_newer"] == 3);
    solo.hears(3, {record_of(2, {2, 6}), record_of(2, {3, 1})});
    CHECK(solo.accepted.size() == 2);
    CHECK(solo.mesh.store().find({node_of(2), 9})->stamp == wire::Stamp{3, 1});
}

TEST_CASE("kinds nobody knows are kept and passed on as they came") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    const auto strange = record_of(4, {1, 1}, 4711, filler(100));
    solo.hears(2, {strange});
    const auto passed = records_in(solo.sent[3]);
    REQUIRE(!passed.empty());
    CHECK(passed.back().raw == strange->raw);
}

TEST_CASE("what comes from its owner is announced, after others had time to do so") {
    Solo solo;
    for (std::uint64_t link = 2; link <= 4; ++link) {
        solo.link(link);
    }
    solo.pass(1s);
    solo.sent.clear();
    const auto record = record_of(2, {1, 1});
    solo.hears(2, {record});
    solo.pass(190ms);
    CHECK(solo.sent.empty());
    solo.mesh.on_message(4, announcement(*record, {1, 1}), solo.now); // 4 has it already
    solo.pass(400ms);
    CHECK(lines_in(solo.sent[3]).size() == 1);
    CHECK(records_in(solo.sent[3]).empty());
    CHECK(lines_in(solo.sent[4]).empty());
    CHECK(solo.sent[2].empty());
}

TEST_CASE("what comes from others is pushed on, unless its owner is a neighbour") {
    Solo solo;
    for (std::uint64_t link = 2; link <= 4; ++link) {
        solo.link(link);
    }
    solo.pass(1s);
    solo.sent.clear();
    solo.hears(2, {record_of(9, {1, 1})});
    CHECK(records_in(solo.sent[3]).size() == 1);
    CHECK(records_in(solo.sent[4]).size() == 1);
    solo.sent.clear();
    solo.hears(2, {record_of(3, {1, 1})});
    CHECK(solo.sent.empty());
    solo.pass(600ms);
    CHECK(lines_in(solo.sent[4]).size() == 1);
    CHECK(solo.sent[3].empty());
}

TEST_CASE("an announcement that was overtaken is answered with an announcement") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {record_of(2, {1, 5})});
    solo.pass(2s);
    solo.sent.clear();
    solo.mesh.on_message(2, announcement(*record_of(2, {1, 4}), {1, 4}), solo.now);
    solo.pass(600ms);
    CHECK(records_in(solo.sent[2]).empty());
    REQUIRE(lines_in(solo.sent[2]).size() == 1);
    CHECK(lines_in(solo.sent[2])[0].stamp == wire::Stamp{1, 5});
}

TEST_CASE("a digest is answered with what the other side lacks, and with questions") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {record_of(5, {1, 5}), record_of(6, {1, 1})});
    solo.pass(2s);
    solo.sent.clear();
    wire::LineDigest digest;
    digest.mask = ~std::uint64_t{0};
    digest.to.octets.fill(0xff);
    digest.lines = {{{node_of(5), 9}, {1, 4}}, {{node_of(7), 9}, {1, 1}}};
    solo.mesh.on_message(2, wire::encode_digest(digest), solo.now);
    solo.pass(1ms);
    CHECK(records_in(solo.sent[2]).size() == 3); // 5 in its newer version, 6, and our own
    CHECK(solo.messages(2, Kind::request) == 1);
}

TEST_CASE("one neighbour is asked for a record, the next after a while") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    const auto record = record_of(9, {1, 1});
    solo.mesh.on_message(2, announcement(*record, {1, 1}), solo.now);
    solo.mesh.on_message(3, announcement(*record, {1, 1}), solo.now);
    solo.pass(1ms);
    CHECK(solo.messages(2, Kind::request) == 1);
    CHECK(solo.messages(3, Kind::request) == 0);
    solo.pass(2s);
    solo.mesh.on_message(3, announcement(*record, {1, 1}), solo.now);
    solo.pass(1ms);
    CHECK(solo.messages(3, Kind::request) == 1);
}

TEST_CASE("who asks for a record gets it") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    solo.hears(2, {record_of(2, {1, 1})});
    solo.sent.clear();
    const std::vector<wire::RecordId> ids{{node_of(2), 9}, {node_of(99), 9}};
    solo.mesh.on_message(3, wire::encode_request(ids), solo.now);
    solo.pass(1ms);
    REQUIRE(records_in(solo.sent[3]).size() == 1);
    CHECK(records_in(solo.sent[3])[0].node == node_of(2));
}

TEST_CASE("a link that takes nothing gets nothing, and all of it later") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    solo.pass(1s);
    solo.mesh.set_link_blocked(3, true);
    solo.sent.clear();
    for (std::uint64_t i = 10; i < 20; ++i) {
        solo.hears(2, {record_of(i, {1, 1}), record_of(i, {1, 2})});
    }
    solo.pass(20s);
    CHECK(solo.sent[3].empty());
    CHECK(solo.mesh.waiting() == 10);
    solo.mesh.set_link_blocked(3, false);
    solo.pass(1s);
    const auto passed = records_in(solo.sent[3]);
    CHECK(passed.size() == 10);
    for (const wire::Record& record : passed) {
        CHECK(record.stamp == wire::Stamp{1, 2});
    }
    CHECK(solo.mesh.waiting() == 0);
}

TEST_CASE("a long backlog is handed to a link in pieces") {
    MeshSettings settings;
    settings.flush_bytes = 10000;
    Solo solo(settings);
    solo.link(2);
    solo.link(3);
    solo.mesh.set_link_blocked(3, true);
    for (std::uint64_t i = 10; i < 60; ++i) {
        solo.hears(2, {record_of(i, {1, 1}, 9, filler(880))});
    }
    solo.sent.clear();
    solo.mesh.set_link_blocked(3, false);
    solo.pass(1ms);
    CHECK(records_in(solo.sent[3]).size() <= 11);
    solo.pass(1s);
    CHECK(records_in(solo.sent[3]).size() >= 50);
}

TEST_CASE("our own id heard with a greater epoch raises ours above it") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {record_of(1, {7, 1})});
    CHECK(solo.epochs == std::vector<std::uint64_t>{8});
    CHECK(solo.mesh.epoch() == 8);
    solo.pass(1s);
    CHECK(solo.mesh.store().find({node_of(1), wire::kTopologyKind})->stamp.epoch == 8);
    solo.hears(2, {record_of(1, {7, 9})});
    CHECK(solo.epochs.size() == 1);
}

TEST_CASE("nobody else can raise our epoch, and nothing makes it wrap") {
    Solo solo;
    solo.link(2);
    Bytes forged = batch_of({record_of(1, {7, 1})});
    forged.back() ^= 1;
    solo.mesh.on_message(2, forged, solo.now);
    CHECK(solo.mesh.epoch() == 1);
    solo.hears(2, {record_of(1, {std::numeric_limits<std::uint64_t>::max(), 1})});
    CHECK(solo.mesh.epoch() == 1);
}

TEST_CASE("two machines with one identity do not outbid each other for ever") {
    Solo solo;
    solo.link(2);
    for (int i = 0; i < 600; ++i) {
        solo.hears(2, {topology_of(1, {solo.mesh.epoch() + 1, 1}, "self")});
        solo.pass(100ms);
    }
    CHECK(solo.epochs.size() > 2);
    CHECK(solo.epochs.size() < 20);
    CHECK(solo.counts["mesh_own_id_elsewhere"] > 500);
}

TEST_CASE("an earlier life is outbid in silence, a second machine of our identity is told of") {
    Solo solo;
    solo.link(2);
    const auto said = [&](std::uint64_t epoch, std::uint16_t kind) {
        wire::Topology topology;
        topology.endpoints = {{IpAddress::v4({192, 0, 2, 7}), 6783}};
        const bool is_topology = kind == wire::kTopologyKind;
        return record_of(
            1, {epoch, 1}, kind, is_topology ? wire::encode_topology(topology) : filler(20));
    };
    solo.hears(2, {said(7, wire::kTopologyKind), said(9, wire::kAddressesKind)});
    solo.pass(1s);
    CHECK(solo.copies.empty());
    CHECK(solo.counts["mesh_own_id_elsewhere"] == 0);
    solo.hears(2, {said(20, wire::kTopologyKind)});
    REQUIRE(solo.copies.size() == 1);
    CHECK(solo.copies[0].endpoints == std::vector<Endpoint>{{IpAddress::v4({192, 0, 2, 7}), 6783}});
    CHECK(solo.counts["mesh_own_id_elsewhere"] == 1);
    solo.pass(5min);
    solo.hears(2, {said(30, wire::kTopologyKind)});
    CHECK(solo.copies.size() == 1);
}

TEST_CASE("what an earlier life published and this one does not is taken back") {
    Solo solo;
    solo.link(2);
    solo.hears(2, {record_of(1, {1, 900}, wire::kAddressesKind, filler(20))});
    solo.pass(1s);
    const auto own = solo.mesh.store().find({node_of(1), wire::kAddressesKind});
    REQUIRE(own != nullptr);
    CHECK(own->tlvs().empty());
    CHECK(own->stamp > wire::Stamp{1, 900});
}

TEST_CASE("changes of our own are published together, at most ten times a second") {
    Solo solo;
    solo.link(2);
    solo.pass(1s);
    solo.accepted.clear();
    for (std::uint64_t i = 0; i < 50; ++i) {
        CHECK(solo.mesh.set_own(9, filler(i), solo.now));
        solo.pass(10ms);
    }
    CHECK(solo.accepted.size() >= 4);
    CHECK(solo.accepted.size() <= 6);
    CHECK_FALSE(solo.mesh.set_own(9, Bytes{1, 200, 0}, solo.now));
    CHECK_FALSE(solo.mesh.set_own(9, filler(wire::kMaxTlvBytes), solo.now));
}

TEST_CASE("while a thousand nodes turn out unreachable, the list is sent a few times and no more") {
    Solo solo;
    for (std::uint64_t number = 2; number < 1002; ++number) {
        solo.mesh.on_link_up(number, node_of(number), solo.now);
    }
    solo.pass(1s);
    const auto sent_bytes = [&] {
        std::size_t bytes = 0;
        for (const auto& [link, messages] : solo.sent) {
            for (const Bytes& message : messages) {
                bytes += message.size();
            }
        }
        return bytes;
    };
    const std::size_t before = sent_bytes();
    const std::uint64_t version = solo.mesh.version();
    for (std::uint64_t number = 2; number < 1002; ++number) {
        solo.mesh.mark_unreachable(node_of(number), true, solo.now);
        solo.pass(4ms);
    }
    const std::uint64_t published = solo.mesh.version() - version;
    CHECK(published >= 2);
    CHECK(published <= 8); // without the limit it is 40
    CHECK(sent_bytes() - before < 6 * MeshSettings{}.publish_rate);
    // In the end everybody has all of it.
    solo.pass(2s);
    const auto last = wire::decode_topology(
        solo.mesh.store().find({solo.mesh.self(), wire::kTopologyKind})->tlvs());
    CHECK(last->unreachable.size() == 1000);
    CHECK(records_in(solo.sent[1001]).back().stamp.version == solo.mesh.version());
}

TEST_CASE("changed addresses wait for nothing but the addresses before") {
    Solo solo;
    solo.link(2);
    solo.pass(1s);
    CHECK(solo.mesh.set_own(wire::kAllocationKind, filler(1), solo.now));
    CHECK(solo.mesh.set_own(wire::kAllocationKind, filler(2), solo.now));
    solo.pass(0s);
    const auto stamp = [&] {
        const auto record = solo.mesh.store().find({node_of(1), wire::kAddressesKind});
        return record ? record->stamp : wire::Stamp{};
    };
    CHECK(solo.mesh.set_own(wire::kAddressesKind, filler(3), solo.now));
    CHECK(solo.mesh.published_by(wire::kAddressesKind) <= solo.now);
    solo.pass(0s);
    const wire::Stamp first = stamp();
    CHECK(first != wire::Stamp{});
    CHECK(solo.mesh.set_own(wire::kAddressesKind, filler(4), solo.now));
    CHECK(solo.mesh.published_by(wire::kAddressesKind) == solo.now + 20ms);
    CHECK(solo.mesh.next_deadline() <= solo.now + 20ms);
    solo.pass(10ms);
    CHECK(stamp() == first);
    solo.pass(10ms);
    CHECK(stamp() > first);
    CHECK(solo.mesh.published_by(wire::kAddressesKind) == solo.now);
}

TEST_CASE("a member that floods fills a bounded store, and its own share goes first") {
    MeshSettings settings;
    settings.limits = {.nodes = 40, .records_per_node = 4, .tombstones = 16, .other_bytes = 30000};
    Solo solo(settings);
    solo.link(2);
    solo.link(3);
    solo.hears(3, {topology_of(3, {1, 1}, "three")});
    for (std::uint16_t kind = 10; kind < 60; ++kind) {
        solo.hears(2, {record_of(3, {1, kind}, kind)});
    }
    for (std::uint64_t i = 100; i < 400; ++i) {
        solo.hears(2, {record_of(i, {1, 1}, 50, filler(800))});
    }
    CHECK(solo.mesh.store().nodes() <= 40);
    CHECK(solo.mesh.store().bytes() <= 31000); // topologies have a budget of their own
    CHECK(solo.mesh.store().of(node_of(3)).size() <= 4);
    CHECK(solo.counts["mesh_too_many_bytes"] > 200);
    CHECK(solo.counts["mesh_too_many_records"] > 40);
    CHECK(solo.mesh.waiting() <= solo.mesh.store().size());
    // Those who were there before still change what they say, and we do.
    solo.hears(3, {topology_of(3, {1, 99}, "three")});
    CHECK(solo.mesh.store().find({node_of(3), wire::kTopologyKind})->stamp.version == 99);
    CHECK(solo.mesh.set_own(9, filler(3000), solo.now));
    solo.pass(6min);
    CHECK(solo.mesh.store().find({node_of(1), 9}) != nullptr);
    CHECK(solo.left.size() > 25);
    CHECK(solo.mesh.store().nodes() == 2);
}

TEST_CASE("announcements of records that never come are bounded, and forgotten") {
    Solo solo;
    solo.link(2);
    std::uint64_t number = 1000;
    for (int message = 0; message < 60; ++message) {
        wire::LineDigest digest;
        for (int i = 0; i < 1500; ++i) {
            digest.lines.push_back({{node_of(number++), 9}, {1, 1}});
        }
        solo.mesh.on_message(2, wire::encode_digest(digest), solo.now);
    }
    solo.take();
    CHECK(solo.counts["mesh_no_room"] >= 60 * 1500 - 65536);
    solo.pass(30s);
    solo.counts.clear();
    solo.mesh.on_message(2, announcement(*record_of(5, {1, 1}), {1, 1}), solo.now);
    solo.take();
    CHECK(solo.counts["mesh_no_room"] == 0);
}

TEST_CASE("messages that nobody fetches are bounded") {
    Solo solo;
    for (std::uint64_t link = 2; link <= 101; ++link) {
        solo.mesh.on_link_up(link, node_of(link), solo.now);
    }
    const Bytes digest = wire::encode_digest(wire::BucketDigest{});
    for (int i = 0; i < 200; ++i) {
        for (std::uint64_t link = 2; link <= 101; ++link) {
            solo.mesh.on_message(link, digest, solo.now);
        }
    }
    solo.take();
    std::size_t messages = 0;
    for (const auto& [link, list] : solo.sent) {
        messages += list.size();
    }
    CHECK(messages <= 8200);
    CHECK(solo.counts["mesh_send_queue_full"] > 10000);
}

TEST_CASE("a link's messages end with it") {
    Solo solo;
    solo.link(2);
    solo.link(3);
    solo.mesh.on_link_down(3);
    solo.sent.clear();
    solo.hears(2, {record_of(9, {1, 1})});
    solo.pass(30s);
    CHECK(solo.sent[3].empty());
    solo.mesh.on_link_down(3);
    CHECK(solo.mesh.links().size() == 1);
}
