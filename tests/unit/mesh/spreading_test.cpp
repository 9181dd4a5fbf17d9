// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Which links a record goes over where not everybody is linked with everybody.
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::mesh;
using namespace weave::mesh::test;
using Kind = wire::LinkMessageKind;

namespace {

/** A node with links to nodes 2 to 5, in a mesh of which it sees a part. */
struct Part : Solo {
    Part() {
        for (std::uint64_t link = 2; link <= 5; ++link) {
            this->link(link);
        }
        mesh.set_partial(true, now);
        pass(2s);
        sent.clear();
    }

    /** Messages of this kind on the links 2 to 5. */
    std::vector<std::size_t> counts_of(Kind kind) {
        std::vector<std::size_t> out;
        for (std::uint64_t link = 2; link <= 5; ++link) {
            out.push_back(messages(link, kind));
        }
        return out;
    }

    void pruned_by(std::uint64_t link) { mesh.on_message(link, wire::encode_prune(), now); }
};

using Counts = std::vector<std::size_t>;

Bytes announcement(const wire::Record& record) {
    wire::LineDigest digest;
    digest.lines.push_back({record.id(), record.stamp});
    return wire::encode_digest(digest);
}

} // namespace

TEST_CASE("records are gathered for a moment and pushed along the tree, announced elsewhere") {
    Part node;
    node.pruned_by(4);
    node.hears(2, {record_of(9, {1, 1}), record_of(10, {1, 1})});
    node.pass(40ms);
    CHECK(node.counts_of(Kind::records) == Counts{0, 0, 0, 0});
    node.pass(20ms);
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 0, 1});
    CHECK(node.counts_of(Kind::digest) == Counts{0, 0, 0, 0});
    node.pass(1s);
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 0, 1});
    CHECK(node.counts_of(Kind::digest) == Counts{0, 0, 1, 0});
}

TEST_CASE("who brings what others have brought is asked to announce, once") {
    Part node;
    const auto record = record_of(9, {1, 1});
    node.hears(2, {record});
    node.hears(3, {record});
    node.hears(3, {record});
    CHECK(node.counts_of(Kind::prune) == Counts{0, 1, 0, 0});
    node.pass(2s);
    node.sent.clear();
    // From now on that link is announced to, as the other end announces to us.
    node.hears(2, {record_of(10, {1, 1})});
    node.pass(100ms);
    CHECK(node.counts_of(Kind::records) == Counts{0, 0, 1, 1});
}

TEST_CASE("out of a mesh of many links a few are branches at first") {
    Solo node;
    for (std::uint64_t link = 2; link <= 101; ++link) {
        node.link(link);
    }
    node.mesh.set_partial(true, node.now);
    node.pass(2s);
    node.sent.clear();
    node.hears(2, {record_of(200, {1, 1})});
    node.pass(100ms);
    std::size_t pushed = 0;
    for (std::uint64_t link = 3; link <= 101; ++link) {
        pushed += node.messages(link, Kind::records);
    }
    CHECK(pushed >= 5); // link 2 may be one of the six
    CHECK(pushed <= 6);
}

TEST_CASE("in a full mesh the tree is for what comes from afar") {
    Part node;
    node.mesh.set_partial(false, node.now);
    const auto near = record_of(2, {1, 1});
    node.hears(2, {near});
    node.hears(3, {near});
    CHECK(node.counts_of(Kind::prune) == Counts{0, 0, 0, 0});
    const auto far = record_of(9, {1, 1});
    node.hears(2, {far});
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 1, 1}); // at once
    node.hears(3, {far});
    CHECK(node.counts_of(Kind::prune) == Counts{0, 1, 0, 0});
    node.hears(2, {record_of(10, {1, 1})});
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 2, 2});
    // What we say ourselves goes to all.
    CHECK(node.mesh.set_own(9, filler(3), node.now));
    node.pass(10ms);
    CHECK(node.counts_of(Kind::records) == Counts{1, 2, 3, 3});
}

TEST_CASE("what was announced is asked for when the tree has not brought it, and mends the tree") {
    Part node;
    node.pruned_by(4);
    const auto late = record_of(9, {1, 1});
    const auto lost = record_of(10, {1, 1});
    node.mesh.on_message(4, announcement(*late), node.now);
    node.mesh.on_message(4, announcement(*lost), node.now);
    node.mesh.on_message(5, announcement(*lost), node.now);
    node.pass(200ms);
    node.hears(2, {late});
    node.pass(200ms);
    CHECK(node.counts_of(Kind::request) == Counts{0, 0, 1, 0});
    node.hears(4, {lost});
    node.pass(1s);
    node.sent.clear();
    node.hears(2, {record_of(11, {1, 1})});
    node.pass(100ms);
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 1, 1});
}

TEST_CASE("who asks is pushed to again") {
    Part node;
    node.hears(2, {record_of(9, {1, 1})});
    node.pruned_by(3);
    node.mesh.on_message(3, wire::encode_request({{node_of(9), 9}}), node.now);
    node.pass(1s);
    node.sent.clear();
    node.hears(2, {record_of(10, {1, 1})});
    node.pass(100ms);
    CHECK(node.messages(3, Kind::records) == 1);
}

TEST_CASE("news of a lost edge goes over all links at once, and says nothing of the tree") {
    Part node;
    node.pruned_by(4);
    const auto news = topology_of(9, {1, 1}, "nine", {node_of(77)});
    node.hears(2, {news});
    CHECK(node.counts_of(Kind::records) == Counts{0, 1, 1, 1});
    node.hears(3, {news});
    CHECK(node.counts_of(Kind::prune) == Counts{0, 0, 0, 0});
}

TEST_CASE("of a large difference a part is told at once") {
    MeshSettings settings = nameless();
    settings.lines_at_once = 100;
    Solo node(settings);
    node.link(2);
    for (std::uint64_t i = 0; i < 1000; ++i) {
        node.hears(2, {record_of(100 + i, {1, 1})});
    }
    node.mesh.set_partial(true, node.now);
    node.pass(1s);
    node.sent.clear();
    node.mesh.on_message(2, wire::encode_digest(wire::BucketDigest{}), node.now);
    node.pass(1ms);
    REQUIRE(node.messages(2, Kind::digest) == 1);
    const auto lines =
        wire::decode_line_digest(wire::link_message_body(node.sent[2].front()))->lines.size();
    CHECK(lines >= 100);
    CHECK(lines < 150);
}

TEST_CASE("while there is more to be learned the other end is asked for it every second") {
    Part node;
    wire::LineDigest digest;
    digest.mask = 1;
    digest.to.octets.fill(0xff);
    digest.lines = {{{NodeId{}, 9}, {1, 1}}};
    node.mesh.on_message(2, wire::encode_digest(digest), node.now);
    node.pass(1100ms);
    CHECK(node.counts_of(Kind::digest) == Counts{1, 0, 0, 0});
}
