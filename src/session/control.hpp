// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/identity.hpp"
#include "crypto/noise.hpp"
#include "session/types.hpp"
#include "wire/control.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace weave::session {

/** Why a TCP handshake ended without a link. */
enum class ControlFailure : std::uint8_t {
    not_weavemesh,        ///< the other side speaks something else
    version,              ///< no common protocol version
    cluster,              ///< another cluster
    unknown_secret,       ///< the responder has no secret with the initiator's id
    wrong_secret,         ///< same secret id, other secret; or altered bytes
    malformed,            ///< a message that breaks the format
    bad_vouch,            ///< the peer's identity does not vouch for its handshake key
    self_connection,      ///< this node answered itself
    identity_elsewhere,   ///< another process answered with this node's identity
    refused_version,      ///< the peer said version
    refused_cluster,      ///< the peer said cluster
    refused_secret,       ///< the peer said secret
    refused_unknown_peer, ///< the peer said unknown peer
};
/** A sentence for a person, without a full stop. */
std::string_view sentence(ControlFailure failure);

/** What this node says about itself. The identity must outlive the handshake. */
struct ControlLocal {
    const crypto::Identity* identity = nullptr;
    wire::ClusterId cluster_id{};
    /** Accepted when answering; the first is used when dialling. */
    std::vector<ClusterSecret> secrets;
    std::string name; ///< at most 255 bytes
    std::uint64_t boot_epoch = 0;
    /** Decides between duplicate links; wire::instance_of() it is the same for all of a process. */
    std::uint64_t nonce = 0;
    std::uint32_t features = 0;
    std::uint16_t udp_port = 0;
};

/** The authenticated other side. */
struct ControlPeer {
    NodeId id;
    crypto::PublicKey sign_public{};
    crypto::PublicKey static_public{};
    std::string name;
    std::uint64_t boot_epoch = 0;
    std::uint64_t nonce = 0;
    std::uint32_t features = 0;
    std::uint16_t udp_port = 0;
    std::uint8_t version = 0;
};

/**
 * Noise XXpsk3 over one TCP connection, sans-I/O. Feed it bytes; it frames, answers and says when
 * it is done. The responder ends with one empty transport message: only when that opens does the
 * initiator know that the secrets are the same. Buffers no more than it is fed and one message. One
 * thread.
 */
class ControlHandshake {
  public:
    enum class Status : std::uint8_t { running, done, failed };

    ControlHandshake(ControlLocal local, bool initiator);

    /** Consumes bytes from the peer. After `done` or `failed` nothing more is consumed. */
    Status on_bytes(ByteView bytes);

    [[nodiscard]] Status status() const { return status_; }

    /** Bytes to write to the peer, also after `failed` (a refusal) — write them before closing. */
    Bytes take_output();

    /** Set when failed. */
    [[nodiscard]] ControlFailure failure() const { return failure_; }

    /** When done: who it is. */
    [[nodiscard]] const ControlPeer& peer() const { return peer_; }

    /** When done: bytes that arrived behind the handshake; they belong to the transport. */
    Bytes take_leftover() { return std::move(buffer_); }

    /** When done: ciphers of the transport; call once each. */
    crypto::CipherState take_sender() { return std::move(*sender_); }

    crypto::CipherState take_receiver() { return std::move(*receiver_); }

  private:
    void start();
    void on_message(ByteView body);
    void on_init(ByteView body);
    void on_second(ByteView body);
    void on_third(ByteView body);
    void on_confirmation(ByteView body);
    bool accept_header(const wire::ClearHeader& header);
    bool accept_identity(ByteView payload);
    [[nodiscard]] Bytes own_identity() const;
    [[nodiscard]] const ClusterSecret* secret(std::uint32_t id) const;
    void make_ciphers();
    void fail(ControlFailure failure);
    void refuse(ControlFailure failure, wire::RefusalCode code);

    ControlLocal local_;
    bool initiator_;
    std::optional<crypto::Handshake> noise_;
    std::optional<crypto::CipherState> sender_;
    std::optional<crypto::CipherState> receiver_;
    ControlPeer peer_;
    Bytes buffer_;
    Bytes output_;
    Status status_ = Status::running;
    ControlFailure failure_ = ControlFailure::not_weavemesh;
};

} // namespace weave::session
