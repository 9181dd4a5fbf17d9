// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/noise.hpp"

#include "crypto/noise_symmetric.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>

namespace weave::crypto {
namespace {

/** Noise, section 3: no message is longer. */
constexpr std::size_t kMaxMessage = 65535;

enum class Token : std::uint8_t { end, e, s, ee, es, se, ss, psk };
using enum Token;

struct PatternRow {
    std::string_view name;
    bool psk = false;
    /** Pre-messages: whose static key the other side knows beforehand. */
    bool initiator_known = false;
    bool responder_known = false;
    std::size_t messages = 0;
    std::array<std::array<Token, 6>, 3> tokens{};
};

/** In the order of Pattern. */
constexpr std::array<PatternRow, 11> kPatterns{{
    {"NN", false, false, false, 2, {{{e}, {e, ee}}}},
    {"NNpsk0", true, false, false, 2, {{{psk, e}, {e, ee}}}},
    {"NNpsk2", true, false, false, 2, {{{e}, {e, ee, psk}}}},
    {"KK", false, true, true, 2, {{{e, es, ss}, {e, ee, se}}}},
    {"KKpsk0", true, true, true, 2, {{{psk, e, es, ss}, {e, ee, se}}}},
    {"KKpsk2", true, true, true, 2, {{{e, es, ss}, {e, ee, se, psk}}}},
    {"IK", false, false, true, 2, {{{e, es, s, ss}, {e, ee, se}}}},
    {"IKpsk1", true, false, true, 2, {{{e, es, s, ss, psk}, {e, ee, se}}}},
    {"IKpsk2", true, false, true, 2, {{{e, es, s, ss}, {e, ee, se, psk}}}},
    {"XX", false, false, false, 3, {{{e}, {e, ee, s, es}, {s, se}}}},
    {"XXpsk3", true, false, false, 3, {{{e}, {e, ee, s, es}, {s, se, psk}}}},
}};

const PatternRow& row_of(Pattern pattern) {
    return kPatterns[static_cast<std::size_t>(pattern)];
}

std::error_code success() {
    return {};
}

} // namespace

std::string protocol_name(Pattern pattern, Suite suite) {
    return "Noise_" + std::string(row_of(pattern).name) + "_25519_" +
           (suite == Suite::aes256gcm ? "AESGCM" : "ChaChaPoly") + "_BLAKE2b";
}

struct Handshake::State {
    /** What a message changes; each message works on a copy, which replaces this when all went
     * well. */
    struct Progress {
        SymmetricState symmetric;
        KeyPair ephemeral;
        PublicKey remote_ephemeral{};
        PublicKey remote_static{};
        bool has_ephemeral = false;
        bool has_remote_ephemeral = false;
        bool has_remote_static = false;
        std::size_t next_message = 0;

        [[nodiscard]] Progress clone() const {
            return {symmetric.clone(),
                    ephemeral.clone(),
                    remote_ephemeral,
                    remote_static,
                    has_ephemeral,
                    has_remote_ephemeral,
                    has_remote_static,
                    next_message};
        }
    };

    State(Pattern pattern,
          Suite suite,
          bool is_initiator,
          ByteView prologue,
          KeyPair pair,
          std::optional<PublicKey> remote_static,
          Key32 secret,
          std::optional<KeyPair> fixed);

    [[nodiscard]] bool done() const { return progress.next_message >= row.messages; }

    [[nodiscard]] bool my_turn() const {
        return !done() && (progress.next_message % 2 == 0) == initiator;
    }

    /** A pre-message key was not given. */
    [[nodiscard]] bool lacks_key() const {
        return (initiator ? row.responder_known : row.initiator_known) &&
               !progress.has_remote_static;
    }

    std::error_code
    mix_dh(Progress& draft, const KeyPair& own, bool known, const PublicKey& remote) const;
    std::error_code mix_token(Progress& draft, Token token) const;
    std::error_code write_token(Progress& draft, Token token, Bytes& out) const;
    std::error_code read_token(Progress& draft, Token token, ByteView& rest) const;
    std::error_code write_ephemeral(Progress& draft, Bytes& out) const;

    const PatternRow& row;
    bool initiator;
    KeyPair static_pair;
    Key32 psk_secret;
    std::optional<KeyPair> fixed_ephemeral;
    Progress progress;
};

Handshake::State::State(Pattern pattern,
                        Suite suite,
                        bool is_initiator,
                        ByteView prologue,
                        KeyPair pair,
                        std::optional<PublicKey> remote_static,
                        Key32 secret,
                        std::optional<KeyPair> fixed)
    : row(row_of(pattern))
    , initiator(is_initiator)
    , static_pair(std::move(pair))
    , psk_secret(std::move(secret))
    , fixed_ephemeral(std::move(fixed))
    // A handshake for packets in clear is sealed all the same.
    , progress{SymmetricState(suite == Suite::clear ? Suite::chacha20poly1305 : suite,
                              protocol_name(pattern, suite)),
               {},
               {},
               {},
               false,
               false,
               false,
               0} {
    progress.symmetric.mix_hash(prologue);
    if (remote_static) {
        progress.remote_static = *remote_static;
        progress.has_remote_static = true;
    }
    const PublicKey& own = static_pair.public_key;
    if (row.initiator_known) {
        progress.symmetric.mix_hash(initiator ? own : progress.remote_static);
    }
    if (row.responder_known) {
        progress.symmetric.mix_hash(initiator ? progress.remote_static : own);
    }
}

std::error_code Handshake::State::mix_dh(Progress& draft,
                                         const KeyPair& own,
                                         bool known,
                                         const PublicKey& remote) const {
    if (!known) {
        return Error::missing_key;
    }
    Key32 shared;
    if (!diffie_hellman(own.secret, remote, shared)) {
        return Error::weak_key;
    }
    draft.symmetric.mix_key(shared.view());
    return success();
}

std::error_code Handshake::State::mix_token(Progress& draft, Token token) const {
    const auto with_ephemeral = [&](const KeyPair& own) {
        return mix_dh(draft, own, draft.has_remote_ephemeral, draft.remote_ephemeral);
    };
    const auto with_static = [&](const KeyPair& own) {
        return mix_dh(draft, own, draft.has_remote_static, draft.remote_static);
    };
    switch (token) {
    case Token::ee:
        return with_ephemeral(draft.ephemeral);
    case Token::ss:
        return with_static(static_pair);
    case Token::es:
        return initiator ? with_static(draft.ephemeral) : with_ephemeral(static_pair);
    case Token::se:
        return initiator ? with_ephemeral(static_pair) : with_static(draft.ephemeral);
    case Token::psk:
        draft.symmetric.mix_key_and_hash(psk_secret.view());
        return success();
    case Token::e:
    case Token::s:
    case Token::end:
        break;
    }
    return success();
}

std::error_code Handshake::State::write_ephemeral(Progress& draft, Bytes& out) const {
    draft.ephemeral = fixed_ephemeral ? fixed_ephemeral->clone() : KeyPair::generate();
    draft.has_ephemeral = true;
    const PublicKey& own = draft.ephemeral.public_key;
    out.insert(out.end(), own.begin(), own.end());
    draft.symmetric.mix_hash(own);
    if (row.psk) {
        draft.symmetric.mix_key(own);
    }
    return success();
}

std::error_code Handshake::State::write_token(Progress& draft, Token token, Bytes& out) const {
    if (token == Token::e) {
        return write_ephemeral(draft, out);
    }
    if (token == Token::s) {
        return draft.symmetric.encrypt_and_hash(static_pair.public_key, out)
                   ? success()
                   : make_error_code(Error::unsupported_suite);
    }
    return mix_token(draft, token);
}

std::error_code Handshake::State::read_token(Progress& draft, Token token, ByteView& rest) const {
    if (token != Token::e && token != Token::s) {
        return mix_token(draft, token);
    }
    const std::size_t size =
        token == Token::s && draft.symmetric.has_key() ? 32 + kTagSize : std::size_t{32};
    if (rest.size() < size) {
        return Error::malformed;
    }
    const ByteView field = rest.first(size);
    rest = rest.subspan(size);
    if (token == Token::e) {
        std::copy(field.begin(), field.end(), draft.remote_ephemeral.begin());
        draft.has_remote_ephemeral = true;
        draft.symmetric.mix_hash(field);
        if (row.psk) {
            draft.symmetric.mix_key(field);
        }
        return success();
    }
    Bytes key;
    if (const auto opened = draft.symmetric.decrypt_and_hash(field, key); opened.has_error()) {
        return opened.error();
    }
    std::copy(key.begin(), key.end(), draft.remote_static.begin());
    draft.has_remote_static = true;
    return success();
}

Handshake::Handshake(Pattern pattern,
                     Suite suite,
                     bool initiator,
                     ByteView prologue,
                     KeyPair static_pair,
                     std::optional<PublicKey> remote_static,
                     Key32 psk,
                     std::optional<KeyPair> fixed_ephemeral)
    : state_(std::make_unique<State>(pattern,
                                     suite,
                                     initiator,
                                     prologue,
                                     std::move(static_pair),
                                     remote_static,
                                     std::move(psk),
                                     std::move(fixed_ephemeral))) {}

Handshake::~Handshake() = default;
Handshake::Handshake(Handshake&&) noexcept = default;
Handshake& Handshake::operator=(Handshake&&) noexcept = default;

Result<Bytes> Handshake::write(ByteView payload) {
    if (!my_turn()) {
        return make_error_code(Error::out_of_turn);
    }
    if (state_->lacks_key()) {
        return make_error_code(Error::missing_key);
    }
    State::Progress draft = state_->progress.clone();
    Bytes out;
    for (const Token token : state_->row.tokens[draft.next_message]) {
        if (const auto error = state_->write_token(draft, token, out)) {
            return error;
        }
    }
    if (!draft.symmetric.encrypt_and_hash(payload, out)) {
        return make_error_code(Error::unsupported_suite);
    }
    if (out.size() > kMaxMessage) {
        return make_error_code(Error::malformed);
    }
    ++draft.next_message;
    state_->progress = std::move(draft);
    return out;
}

Result<Bytes> Handshake::read(ByteView message) {
    if (done() || my_turn()) {
        return make_error_code(Error::out_of_turn);
    }
    if (state_->lacks_key()) {
        return make_error_code(Error::missing_key);
    }
    if (message.size() > kMaxMessage) {
        return make_error_code(Error::malformed);
    }
    State::Progress draft = state_->progress.clone();
    ByteView rest = message;
    for (const Token token : state_->row.tokens[draft.next_message]) {
        if (const auto error = state_->read_token(draft, token, rest)) {
            return error;
        }
    }
    Bytes payload;
    if (const auto opened = draft.symmetric.decrypt_and_hash(rest, payload); opened.has_error()) {
        return opened.error();
    }
    ++draft.next_message;
    state_->progress = std::move(draft);
    return payload;
}

bool Handshake::my_turn() const {
    return state_->my_turn();
}

bool Handshake::done() const {
    return state_->done();
}

bool Handshake::has_remote_static() const {
    return state_->progress.has_remote_static;
}

const PublicKey& Handshake::remote_static() const {
    return state_->progress.remote_static;
}

Split Handshake::split() {
    assert(done());
    Split out;
    State::Progress& progress = state_->progress;
    progress.symmetric.split(out.initiator_to_responder, out.responder_to_initiator);
    out.h = progress.symmetric.hash();
    // Forward secrecy begins when the ephemeral secret and the chaining key are gone.
    wipe(progress.ephemeral.secret.span());
    wipe(state_->psk_secret.span());
    wipe(state_->static_pair.secret.span());
    progress.symmetric.forget();
    return out;
}

} // namespace weave::crypto
