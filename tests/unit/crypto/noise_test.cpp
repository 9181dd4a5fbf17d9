// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/noise.hpp"
#include "unit/crypto/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace weave::crypto {
namespace {

using test::filled;
using test::unhex;

constexpr std::array kAllPatterns{
    Pattern::nn,
    Pattern::nn_psk0,
    Pattern::nn_psk2,
    Pattern::kk,
    Pattern::kk_psk0,
    Pattern::kk_psk2,
    Pattern::ik,
    Pattern::ik_psk1,
    Pattern::ik_psk2,
    Pattern::xx,
    Pattern::xx_psk3,
};

struct Pair {
    Handshake initiator;
    Handshake responder;

    [[nodiscard]] Handshake& writer(std::size_t message) {
        return message % 2 == 0 ? initiator : responder;
    }

    [[nodiscard]] Handshake& reader(std::size_t message) {
        return message % 2 == 0 ? responder : initiator;
    }
};

bool needs_responder_static(Pattern pattern) {
    return pattern != Pattern::nn && pattern != Pattern::nn_psk0 && pattern != Pattern::nn_psk2 &&
           pattern != Pattern::xx && pattern != Pattern::xx_psk3;
}

bool needs_initiator_static(Pattern pattern) {
    return pattern == Pattern::kk || pattern == Pattern::kk_psk0 || pattern == Pattern::kk_psk2;
}

Pair make_pair(Pattern pattern, Suite suite, std::uint8_t responder_psk = 7) {
    const auto key = [](std::uint8_t value) { return KeyPair::from_secret(Key32(filled(value))); };
    std::optional<PublicKey> to_responder;
    std::optional<PublicKey> to_initiator;
    if (needs_responder_static(pattern)) {
        to_responder = key(2).public_key;
    }
    if (needs_initiator_static(pattern)) {
        to_initiator = key(1).public_key;
    }
    const ByteView prologue = as_bytes("prologue");
    return {
        Handshake(pattern, suite, true, prologue, key(1), to_responder, Key32(filled(7)), key(3)),
        Handshake(pattern,
                  suite,
                  false,
                  prologue,
                  key(2),
                  to_initiator,
                  Key32(filled(responder_psk)),
                  key(4))};
}

Bytes payload_of(std::size_t message) {
    return test::pattern_bytes(5 + 3 * message, static_cast<std::uint8_t>(message));
}

std::optional<Pattern> pattern_named(const std::string& protocol, Suite suite) {
    for (const Pattern pattern : kAllPatterns) {
        if (protocol_name(pattern, suite) == protocol) {
            return pattern;
        }
    }
    return std::nullopt;
}

Bytes field(const nlohmann::json& vector, const char* name) {
    return vector.contains(name) ? unhex(vector[name].get<std::string>()) : Bytes{};
}

Handshake from_vector(const nlohmann::json& vector, Pattern pattern, Suite suite, bool initiator) {
    const std::string side = initiator ? "init_" : "resp_";
    const auto own = [&](const char* what) { return field(vector, (side + what).c_str()); };
    const Bytes secret = own("static");
    const Bytes remote = own("remote_static");
    Key32 psk;
    if (vector.contains(side + "psks")) {
        psk = Key32(test::to_key(unhex(vector[side + "psks"][0].get<std::string>())));
    }
    return {pattern,
            suite,
            initiator,
            own("prologue"),
            secret.empty() ? KeyPair{} : test::pair_from(secret),
            remote.empty() ? std::nullopt : std::optional(test::to_key(remote)),
            std::move(psk),
            test::pair_from(own("ephemeral"))};
}

/** The messages after the handshake: sides go on taking turns. */
void check_transport(const nlohmann::json& messages,
                     std::size_t first,
                     Split initiator,
                     Split responder,
                     Suite suite) {
    CipherState to_responder(std::move(initiator.initiator_to_responder), suite);
    CipherState at_responder(std::move(responder.initiator_to_responder), suite);
    CipherState to_initiator(std::move(responder.responder_to_initiator), suite);
    CipherState at_initiator(std::move(initiator.responder_to_initiator), suite);
    for (std::size_t i = first; i < messages.size(); ++i) {
        const Bytes payload = unhex(messages[i]["payload"].get<std::string>());
        const Bytes expected = unhex(messages[i]["ciphertext"].get<std::string>());
        CipherState& sender = i % 2 == 0 ? to_responder : to_initiator;
        CipherState& receiver = i % 2 == 0 ? at_responder : at_initiator;
        const Bytes sealed = sender.seal({}, payload);
        CHECK(sealed == expected);
        const auto opened = receiver.open({}, sealed);
        REQUIRE(opened.has_value());
        CHECK(*opened == payload);
    }
}

void check_vector(const nlohmann::json& vector, Pattern pattern, Suite suite) {
    Pair pair{from_vector(vector, pattern, suite, true),
              from_vector(vector, pattern, suite, false)};
    const nlohmann::json& messages = vector["messages"];
    std::size_t i = 0;
    for (; !pair.initiator.done(); ++i) {
        const Bytes payload = unhex(messages[i]["payload"].get<std::string>());
        const auto written = pair.writer(i).write(payload);
        REQUIRE(written.has_value());
        CHECK(*written == unhex(messages[i]["ciphertext"].get<std::string>()));
        const auto got = pair.reader(i).read(*written);
        REQUIRE(got.has_value());
        CHECK(*got == payload);
    }
    REQUIRE(pair.responder.done());
    Split first = pair.initiator.split();
    Split second = pair.responder.split();
    CHECK(to_hex(first.h) == vector["handshake_hash"].get<std::string>());
    CHECK(first.h == second.h);
    check_transport(messages, i, std::move(first), std::move(second), suite);
}

/** Flips each byte, cuts and lengthens; the reader must refuse and still take the true message. */
void check_tampering(Handshake& reader, const Bytes& message) {
    for (std::size_t i = 0; i < message.size(); ++i) {
        Bytes altered = message;
        altered[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
        const auto answer = reader.read(altered);
        CHECK_MESSAGE(answer.has_error(), "byte " << i);
        const auto cut = reader.read(ByteView(message).first(i));
        CHECK_MESSAGE(cut.has_error(), "cut to " << i);
    }
    Bytes longer = message;
    longer.push_back(0);
    CHECK(reader.read(longer).has_error());
}

std::string transcript(Pattern pattern, Suite suite) {
    std::ostringstream out;
    Pair pair = make_pair(pattern, suite);
    out << protocol_name(pattern, suite) << "\n";
    for (std::size_t i = 0; !pair.initiator.done(); ++i) {
        const auto message = pair.writer(i).write(payload_of(i));
        REQUIRE(message.has_value());
        REQUIRE(pair.reader(i).read(*message).has_value());
        out << "message " << to_hex(*message) << "\n";
    }
    const Split split = pair.initiator.split();
    out << "hash " << to_hex(split.h) << "\n"
        << "initiator_to_responder " << to_hex(split.initiator_to_responder.view()) << "\n"
        << "responder_to_initiator " << to_hex(split.responder_to_initiator.view()) << "\n";
    return out.str();
}

} // namespace

TEST_CASE("noise: published vectors, byte for byte") {
    const auto file = test::vectors("noise-cacophony.json");
    if (!file) {
        return;
    }
    std::size_t checked = 0;
    for (const auto& vector : (*file)["vectors"]) {
        const auto protocol = vector["protocol_name"].get<std::string>();
        CAPTURE(protocol);
        for (const Suite suite : kSuites) {
            if (const auto pattern = pattern_named(protocol, suite); pattern && available(suite)) {
                check_vector(vector, *pattern, suite);
                ++checked;
            }
        }
    }
    CHECK(checked == (available(Suite::aes256gcm) ? 22 : 11));
}

TEST_CASE("noise: every altered byte is refused and the handshake still completes") {
    for (const Pattern pattern : {Pattern::xx_psk3, Pattern::ik_psk2, Pattern::kk_psk0}) {
        for (const Suite suite : kSuites) {
            if (!available(suite)) {
                continue;
            }
            CAPTURE(protocol_name(pattern, suite));
            const std::string undisturbed = transcript(pattern, suite);
            Pair pair = make_pair(pattern, suite);
            for (std::size_t i = 0; !pair.initiator.done(); ++i) {
                const auto message = pair.writer(i).write(payload_of(i));
                REQUIRE(message.has_value());
                check_tampering(pair.reader(i), *message);
                const auto payload = pair.reader(i).read(*message);
                REQUIRE(payload.has_value());
                CHECK(*payload == payload_of(i));
            }
            REQUIRE(pair.responder.done());
            const Split split = pair.responder.split();
            CHECK(undisturbed.find(to_hex(split.h)) != std::string::npos);
        }
    }
}

TEST_CASE("noise: transcripts with fixed keys do not change between versions") {
    for (const Pattern pattern : {Pattern::xx_psk3, Pattern::ik_psk2}) {
        for (const Suite suite : kSuites) {
            if (!available(suite)) {
                continue;
            }
            const std::string path =
                std::string(WEAVE_GOLDEN_NOISE) + "/" + protocol_name(pattern, suite) + ".txt";
            CAPTURE(path);
            const std::string produced = transcript(pattern, suite);
            if (std::getenv("WEAVE_ACCEPT") != nullptr) {
                std::ofstream(path) << produced;
            }
            std::ifstream in(path);
            const std::string expected{std::istreambuf_iterator<char>(in), {}};
            CHECK(produced == expected);
        }
    }
}

TEST_CASE("noise: a handshake for packets in clear is sealed") {
    CHECK(transcript(Pattern::ik_psk2, Suite::clear) ==
          transcript(Pattern::ik_psk2, Suite::chacha20poly1305));
}

TEST_CASE("noise: message sizes are those of the framework") {
    Pair xx = make_pair(Pattern::xx_psk3, Suite::chacha20poly1305);
    const auto first = xx.initiator.write({});
    REQUIRE(first.has_value());
    CHECK(first->size() == 48);
    REQUIRE(xx.responder.read(*first).has_value());
    CHECK_FALSE(xx.initiator.has_remote_static());
    const auto second = xx.responder.write({});
    REQUIRE(second.has_value());
    CHECK(second->size() == 96);
    REQUIRE(xx.initiator.read(*second).has_value());
    CHECK(xx.initiator.remote_static() == KeyPair::from_secret(Key32(filled(2))).public_key);
    const auto third = xx.initiator.write({});
    REQUIRE(third.has_value());
    CHECK(third->size() == 64);
    REQUIRE(xx.responder.read(*third).has_value());
    CHECK(xx.responder.remote_static() == KeyPair::from_secret(Key32(filled(1))).public_key);
}

TEST_CASE("noise: another secret is refused") {
    Pair pair = make_pair(Pattern::xx_psk3, Suite::chacha20poly1305, 8);
    const auto first = pair.initiator.write({});
    REQUIRE(pair.responder.read(*first).has_value());
    const auto second = pair.responder.write({});
    REQUIRE(pair.initiator.read(*second).has_value());
    const auto third = pair.initiator.write({});
    const auto wrong = pair.responder.read(*third);
    REQUIRE(wrong.has_error());
    CHECK(wrong.error() == Error::authentication_failed);
}

TEST_CASE("noise: turns, missing keys, other prologues and low-order keys") {
    Pair pair = make_pair(Pattern::ik_psk2, Suite::chacha20poly1305);
    CHECK(pair.responder.write({}).error() == Error::out_of_turn);
    CHECK(pair.initiator.read(Bytes(96)).error() == Error::out_of_turn);
    CHECK(pair.initiator.my_turn());
    CHECK_FALSE(pair.responder.my_turn());

    const auto handshake =
        [](bool initiator, std::optional<PublicKey> remote, const char* prologue) {
            return Handshake(Pattern::ik_psk2,
                             Suite::chacha20poly1305,
                             initiator,
                             as_bytes(prologue),
                             KeyPair::generate(),
                             remote,
                             Key32());
        };
    Handshake lost = handshake(true, std::nullopt, "");
    CHECK(lost.write({}).error() == Error::missing_key);
    Handshake weak = handshake(true, PublicKey{}, "");
    CHECK(weak.write({}).error() == Error::weak_key);

    Handshake elsewhere(Pattern::ik_psk2,
                        Suite::chacha20poly1305,
                        false,
                        as_bytes("other"),
                        KeyPair::from_secret(Key32(filled(2))),
                        std::nullopt,
                        Key32(filled(7)));
    const auto message = pair.initiator.write({});
    CHECK(elsewhere.read(*message).error() == Error::authentication_failed);
    // A zero ephemeral gives a zero result, whatever the reader's key is.
    Bytes zero = *message;
    std::fill(zero.begin(), zero.begin() + 32, std::uint8_t{0});
    CHECK(pair.responder.read(zero).error() == Error::weak_key);
    CHECK(pair.responder.read(*message).has_value());
}

TEST_CASE("noise: random ephemerals differ") {
    const auto first_message = [] {
        Handshake handshake(Pattern::xx,
                            Suite::chacha20poly1305,
                            true,
                            {},
                            KeyPair::generate(),
                            std::nullopt,
                            Key32());
        return *handshake.write({});
    };
    CHECK(first_message() != first_message());
}

} // namespace weave::crypto
