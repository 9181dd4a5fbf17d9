// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/control.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::session;
using namespace weave::session::test;
using Status = ControlHandshake::Status;

namespace {

struct Side {
    explicit Side(std::uint8_t seed)
        : identity(crypto::Identity::from_seed(key_of(seed))) {}

    ControlLocal local() const {
        ControlLocal out;
        out.identity = &identity;
        out.cluster_id.fill(cluster);
        for (const auto& [id, fill] : secrets) {
            out.secrets.push_back({id, key_of(fill)});
        }
        out.name = name;
        out.boot_epoch = 42;
        out.nonce = nonce;
        out.features = 3;
        out.udp_port = 6784;
        return out;
    }

    crypto::Identity identity;
    std::string name = "node";
    std::uint64_t nonce = 4711;
    std::uint8_t cluster = 1;
    std::vector<std::pair<std::uint32_t, std::uint8_t>> secrets{{1, 0x51}};
};

struct Link {
    Link(const Side& from, const Side& to)
        : dialler(from.local(), true)
        , answerer(to.local(), false) {
        crypto::init();
    }

    /** Carries bytes both ways in pieces of `piece` until neither has more to say. */
    void run(std::size_t piece = 65536) {
        for (bool busy = true; busy;) {
            busy = carry(dialler, answerer, piece);
            busy = carry(answerer, dialler, piece) || busy;
        }
    }

    static bool carry(ControlHandshake& from, ControlHandshake& to, std::size_t piece) {
        const Bytes out = from.take_output();
        for (std::size_t at = 0; at < out.size(); at += piece) {
            to.on_bytes(ByteView{out}.subspan(at, std::min(piece, out.size() - at)));
        }
        return !out.empty();
    }

    ControlHandshake dialler;
    ControlHandshake answerer;
};

} // namespace

TEST_CASE("two members of a cluster get to know each other") {
    Side a(1);
    Side b(2);
    b.name = "other";
    for (const std::size_t piece : {1u, 7u, 65536u}) {
        CAPTURE(piece);
        Link link(a, b);
        link.run(piece);
        REQUIRE(link.dialler.status() == Status::done);
        REQUIRE(link.answerer.status() == Status::done);
        const ControlPeer& peer = link.dialler.peer();
        CHECK(peer.id == b.identity.id());
        CHECK(peer.sign_public == b.identity.sign_public());
        CHECK(peer.static_public == b.identity.static_public());
        CHECK(peer.name == "other");
        CHECK(peer.boot_epoch == 42);
        CHECK(peer.nonce == 4711);
        CHECK(peer.features == 3);
        CHECK(peer.udp_port == 6784);
        CHECK(peer.version == 1);
        CHECK(link.answerer.peer().id == a.identity.id());
        CHECK(link.dialler.take_leftover().empty());
    }
}

TEST_CASE("the ciphers of both sides fit, after the confirmation") {
    Side a(1);
    Side b(2);
    Link link(a, b);
    link.run();
    auto to_b = link.dialler.take_sender();
    auto at_b = link.answerer.take_receiver();
    auto to_a = link.answerer.take_sender();
    auto at_a = link.dialler.take_receiver();
    const Bytes text{1, 2, 3};
    CHECK(at_b.open({}, to_b.seal({}, text)).value() == text);
    CHECK(at_a.open({}, to_a.seal({}, text)).value() == text);
    CHECK(to_a.nonce() == 2);
    CHECK(to_b.nonce() == 1);
}

TEST_CASE("bytes behind the handshake are kept for the transport") {
    Side a(1);
    Side b(2);
    Link link(a, b);
    Link::carry(link.dialler, link.answerer, 65536);
    Link::carry(link.answerer, link.dialler, 65536);
    Link::carry(link.dialler, link.answerer, 65536);
    Bytes last = link.answerer.take_output();
    last.insert(last.end(), {9, 9, 9});
    CHECK(link.dialler.on_bytes(last) == Status::done);
    CHECK(link.dialler.take_leftover() == Bytes{9, 9, 9});
}

TEST_CASE("both sides learn why they cannot be linked") {
    Side a(1);
    Side b(2);
    ControlFailure at_dialler{};
    ControlFailure at_answerer{};
    SUBCASE("another cluster") {
        b.cluster = 2;
        at_dialler = ControlFailure::refused_cluster;
        at_answerer = ControlFailure::cluster;
    }
    SUBCASE("a secret id the other does not have") {
        b.secrets = {{9, 0x51}};
        at_dialler = ControlFailure::refused_secret;
        at_answerer = ControlFailure::unknown_secret;
    }
    SUBCASE("the same id, another secret") {
        b.secrets = {{1, 0x52}};
        at_dialler = ControlFailure::refused_secret;
        at_answerer = ControlFailure::wrong_secret;
    }
    Link link(a, b);
    link.run();
    CHECK(link.dialler.status() == Status::failed);
    CHECK(link.answerer.status() == Status::failed);
    CHECK(link.dialler.failure() == at_dialler);
    CHECK(link.answerer.failure() == at_answerer);
}

TEST_CASE("the answerer accepts an old and a new secret during a rotation") {
    Side a(1);
    Side b(2);
    b.secrets = {{2, 0x52}, {1, 0x51}};
    Link link(a, b);
    link.run();
    CHECK(link.dialler.status() == Status::done);
    CHECK(link.answerer.status() == Status::done);
}

TEST_CASE("a node that dials itself notices") {
    Side a(1);
    Link link(a, a);
    link.run();
    CHECK(link.dialler.failure() == ControlFailure::self_connection);
    CHECK(link.dialler.status() == Status::failed);
    CHECK(link.answerer.status() != Status::done);
}

TEST_CASE("a copy of this node's identity is told apart from this node, at both ends") {
    Side a(1);
    Side copy(1);
    copy.nonce = 7ULL << 32 | 1;
    Link link(a, copy);
    link.run();
    for (const ControlHandshake* end : {&link.dialler, &link.answerer}) {
        CHECK(end->status() == Status::failed);
        CHECK(end->failure() == ControlFailure::identity_elsewhere);
    }
}

TEST_CASE("what is no handshake is told apart") {
    Side a(1);
    Side b(2);
    Link link(a, b);
    const auto http = as_bytes("GET / HTTP/1.1\r\nHost: example\r\n\r\n");
    CHECK(link.answerer.on_bytes(http) == Status::failed);
    CHECK(link.answerer.failure() == ControlFailure::not_weavemesh);
    CHECK(link.answerer.take_output().empty());
    CHECK(link.answerer.on_bytes(http) == Status::failed);
    Bytes junk;
    wire::append_control_message(junk, Bytes(96, 0x5a));
    CHECK(link.dialler.on_bytes(junk) == Status::failed);
}

TEST_CASE("another version is refused, and both ends say so") {
    Side a(1);
    Side b(2);
    for (const std::uint8_t theirs : std::initializer_list<std::uint8_t>{0, 2, 200}) {
        CAPTURE(theirs);
        Link link(a, b);
        Bytes first = link.dialler.take_output();
        first[wire::kControlLengthSize + 1] = theirs; // version_min
        first[wire::kControlLengthSize + 2] = theirs; // version_max
        CHECK(link.answerer.on_bytes(first) == Status::failed);
        CHECK(link.answerer.failure() == ControlFailure::version);
        const Bytes refusal = link.answerer.take_output();
        CHECK(refusal == Bytes{4, 0, 0x16, 1, 0, 0});
        CHECK(link.dialler.on_bytes(refusal) == Status::failed);
        CHECK(link.dialler.failure() == ControlFailure::refused_version);
    }
}

TEST_CASE("a later version that still speaks ours is let in") {
    crypto::init();
    const Side later(1);
    Side b(2);
    wire::ClearHeader header;
    header.type = wire::DatagramType::control_init;
    header.version_max = 9;
    header.suite = static_cast<std::uint8_t>(crypto::Suite::chacha20poly1305);
    header.secret_id = 1;
    header.cluster_id.fill(1);
    Bytes message = header.encode();
    crypto::Handshake noise(crypto::Pattern::xx_psk3,
                            crypto::Suite::chacha20poly1305,
                            true,
                            message,
                            later.identity.static_pair().clone(),
                            std::nullopt,
                            key_of(0x51));
    const Bytes body = noise.write({}).value();
    message.insert(message.end(), body.begin(), body.end());
    Bytes framed;
    wire::append_control_message(framed, message);
    ControlHandshake answerer(b.local(), false);
    CHECK(answerer.on_bytes(framed) == Status::running);
    const Bytes answer = answerer.take_output();
    CHECK(noise.read(ByteView{answer}.subspan(wire::kControlLengthSize)).has_value());
}

TEST_CASE("after a failure nothing more is consumed or said") {
    Side a(1);
    Side b(2);
    b.cluster = 2;
    Link link(a, b);
    const Bytes first = link.dialler.take_output();
    link.answerer.on_bytes(first);
    CHECK_FALSE(link.answerer.take_output().empty());
    CHECK(link.answerer.on_bytes(first) == Status::failed);
    CHECK(link.answerer.take_output().empty());
}

TEST_CASE("an identity that does not vouch for the handshake key is not believed") {
    crypto::init();
    Side a(1);
    const Side b(2);
    const Side victim(3);
    ControlHandshake dialler(a.local(), true);
    const Bytes first = dialler.take_output();
    const ByteView body = ByteView{first}.subspan(wire::kControlLengthSize);
    // A member with the secret who claims to be someone else.
    crypto::Handshake noise(crypto::Pattern::xx_psk3,
                            crypto::Suite::chacha20poly1305,
                            false,
                            body.first(wire::ClearHeader::kSize),
                            b.identity.static_pair().clone(),
                            std::nullopt,
                            key_of(0x51));
    REQUIRE(noise.read(body.subspan(wire::ClearHeader::kSize)).has_value());
    wire::ControlIdentity claim;
    claim.sign_public = victim.identity.sign_public();
    SUBCASE("with the vouch for another key") {
        claim.vouch = victim.identity.static_vouch();
    }
    SUBCASE("with a vouch of its own") {
        claim.vouch = b.identity.static_vouch();
    }
    Bytes second;
    wire::append_control_message(second, noise.write(claim.encode()).value());
    CHECK(dialler.on_bytes(second) == Status::failed);
    CHECK(dialler.failure() == ControlFailure::bad_vouch);
}

TEST_CASE("an altered confirmation is not one") {
    Side a(1);
    Side b(2);
    Link link(a, b);
    Link::carry(link.dialler, link.answerer, 65536);
    Link::carry(link.answerer, link.dialler, 65536);
    CHECK(link.dialler.status() == Status::running);
    Link::carry(link.dialler, link.answerer, 65536);
    Bytes last = link.answerer.take_output();
    last.back() ^= 1;
    CHECK(link.dialler.on_bytes(last) == Status::failed);
    CHECK(link.dialler.failure() == ControlFailure::wrong_secret);
}

TEST_CASE("every failure has a sentence") {
    for (int i = 0; i <= static_cast<int>(ControlFailure::refused_unknown_peer); ++i) {
        CHECK(sentence(static_cast<ControlFailure>(i)) != "unknown failure");
    }
}
