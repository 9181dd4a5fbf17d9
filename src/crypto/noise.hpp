// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "crypto/errors.hpp"
#include "crypto/hash.hpp"
#include "crypto/identity.hpp"
#include "crypto/suite.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace weave::crypto {

/** Patterns of the Noise Protocol Framework, revision 34. The daemon uses xx_psk3 and ik_psk2;
 * the others are here for the published vectors, which prove the table that all share. */
enum class Pattern : std::uint8_t {
    nn,
    nn_psk0,
    nn_psk2,
    kk,
    kk_psk0,
    kk_psk2,
    ik,
    ik_psk1,
    ik_psk2,
    xx,
    xx_psk3,
};

/** "Noise_IKpsk2_25519_AESGCM_BLAKE2b" */
std::string protocol_name(Pattern pattern, Suite suite);

/** What a finished handshake leaves behind. */
struct Split {
    Key32 initiator_to_responder;
    Key32 responder_to_initiator;
    /** The handshake hash: the same on both sides, different for each handshake. */
    Hash64 h{};
};

/**
 * One handshake of one side. Messages alternate, the initiator writes first. A failed read() leaves
 * the state as it was, so a forged message cannot end a handshake. One thread at a time. Source:
 * noiseprotocol.org/noise.html, sections 5, 7 and 9.
 */
class Handshake {
  public:
    /**
     * `suite`: under Suite::clear messages are sealed as under ChaCha20-Poly1305. `remote_static`:
     * needed before the first message by the initiator of IK and both sides of KK. `psk`: ignored
     * by patterns without one. `fixed_ephemeral`: for test vectors only.
     */
    Handshake(Pattern pattern,
              Suite suite,
              bool initiator,
              ByteView prologue,
              KeyPair static_pair,
              std::optional<PublicKey> remote_static,
              Key32 psk,
              std::optional<KeyPair> fixed_ephemeral = std::nullopt);
    ~Handshake();
    Handshake(Handshake&&) noexcept;
    Handshake& operator=(Handshake&&) noexcept;

    /** The next message with `payload` inside. Errors: out_of_turn, missing_key, weak_key,
     * unsupported_suite. */
    Result<Bytes> write(ByteView payload);
    /** The payload of the peer's message. Errors as write(), authentication_failed, malformed. */
    Result<Bytes> read(ByteView message);

    /** True when it is this side that writes next. */
    [[nodiscard]] bool my_turn() const;
    /** True after the last message of the pattern. */
    [[nodiscard]] bool done() const;

    /** Known from the start or from the message that carried it. */
    [[nodiscard]] bool has_remote_static() const;
    /** All zero while has_remote_static() is false. */
    [[nodiscard]] const PublicKey& remote_static() const;

    /** The keys; call once, when done(). Asserts otherwise. The state is wiped. */
    Split split();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/**
 * One direction of a reliable, ordered transport after a handshake: implicit 64-bit nonces, and the
 * Noise REKEY after every kRekeyInterval messages on both sides. One thread at a time.
 */
class CipherState {
  public:
    static constexpr std::uint64_t kRekeyInterval = std::uint64_t{1} << 16;

    explicit CipherState(Key32 key, Suite suite = Suite::chacha20poly1305);

    /** ciphertext || tag */
    Bytes seal(ByteView associated, ByteView plaintext);
    /** Errors: authentication_failed, malformed (shorter than a tag); the state is then unchanged.
     */
    Result<Bytes> open(ByteView associated, ByteView sealed);

    /** Messages sealed or opened so far: the next nonce. */
    [[nodiscard]] std::uint64_t nonce() const { return nonce_; }

    /** Noise REKEY(): a new key, the nonce goes on. */
    void rekey();

  private:
    void advance();

    Key32 key_;
    Suite suite_;
    std::uint64_t nonce_ = 0;
};

} // namespace weave::crypto
