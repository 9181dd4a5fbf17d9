// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/control.hpp"

#include <cassert>
#include <utility>

namespace weave::session {

namespace {

/** A refusal is four bytes; no handshake message is (the shortest has 64). */
constexpr std::size_t kRefusalSize = 4;

ControlFailure refused_as(wire::RefusalCode code) {
    switch (code) {
    case wire::RefusalCode::version:
    case wire::RefusalCode::suite: // links have one suite, which goes with the version
        return ControlFailure::refused_version;
    case wire::RefusalCode::cluster:
        return ControlFailure::refused_cluster;
    case wire::RefusalCode::secret:
        return ControlFailure::refused_secret;
    case wire::RefusalCode::unknown_peer:
        return ControlFailure::refused_unknown_peer;
    }
    return ControlFailure::malformed;
}

} // namespace

std::string_view sentence(ControlFailure failure) {
    switch (failure) {
    case ControlFailure::not_weavemesh:
        return "whatever answers there does not speak this protocol";
    case ControlFailure::version:
        return "the peer speaks no protocol version that this node knows";
    case ControlFailure::cluster:
        return "the peer belongs to another cluster";
    case ControlFailure::unknown_secret:
        return "the peer uses a cluster secret with an id that this node does not have";
    case ControlFailure::wrong_secret:
        return "the cluster secrets differ, although their ids are the same";
    case ControlFailure::malformed:
        return "the peer sent a handshake message that breaks the format";
    case ControlFailure::bad_vouch:
        return "the peer's identity does not vouch for its handshake key";
    case ControlFailure::self_connection:
        return "the address leads back to this node";
    case ControlFailure::identity_elsewhere:
        return "another router runs with this node's identity: where the copy is, stop weaved, "
               "remove identity.key from its state folder and start it again";
    case ControlFailure::refused_version:
        return "the peer refused: it speaks no protocol version that this node knows";
    case ControlFailure::refused_cluster:
        return "the peer refused: it belongs to another cluster";
    case ControlFailure::refused_secret:
        return "the peer refused: it does not have this node's cluster secret";
    case ControlFailure::refused_unknown_peer:
        return "the peer refused: it does not know this node";
    }
    return "unknown failure";
}

ControlHandshake::ControlHandshake(ControlLocal local, bool initiator)
    : local_(std::move(local))
    , initiator_(initiator) {
    assert(!local_.secrets.empty() && local_.name.size() <= 255);
    if (initiator_) {
        start();
    }
}

void ControlHandshake::start() {
    const ClusterSecret& proposed = local_.secrets.front();
    wire::ClearHeader header;
    header.type = wire::DatagramType::control_init;
    header.suite = static_cast<std::uint8_t>(crypto::Suite::chacha20poly1305);
    header.secret_id = proposed.id;
    header.cluster_id = local_.cluster_id;
    Bytes message = header.encode();
    noise_.emplace(crypto::Pattern::xx_psk3,
                   crypto::Suite::chacha20poly1305,
                   true,
                   message,
                   local_.identity->static_pair().clone(),
                   std::nullopt,
                   proposed.key->clone());
    const auto noise = noise_->write({});
    if (!noise) {
        fail(ControlFailure::malformed);
        return;
    }
    message.insert(message.end(), noise->begin(), noise->end());
    wire::append_control_message(output_, message);
}

Bytes ControlHandshake::take_output() {
    return std::exchange(output_, {});
}

ControlHandshake::Status ControlHandshake::on_bytes(ByteView bytes) {
    if (status_ == Status::failed) {
        return status_;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    while (status_ == Status::running && buffer_.size() >= wire::kControlLengthSize) {
        const std::size_t length = wire::load_u16(buffer_.data());
        if (length > wire::kMaxControlHandshake) {
            fail(noise_ ? ControlFailure::malformed : ControlFailure::not_weavemesh);
            break;
        }
        const std::size_t end = wire::kControlLengthSize + length;
        if (buffer_.size() < end) {
            break;
        }
        const Bytes body(buffer_.begin() + wire::kControlLengthSize,
                         buffer_.begin() + static_cast<std::ptrdiff_t>(end));
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(end));
        on_message(body);
    }
    return status_;
}

void ControlHandshake::on_message(ByteView body) {
    if (body.size() == kRefusalSize) {
        const auto code = wire::parse_control_refusal(body);
        fail(code ? refused_as(*code) : ControlFailure::not_weavemesh);
    } else if (receiver_) {
        on_confirmation(body);
    } else if (initiator_) {
        on_second(body);
    } else if (!noise_) {
        on_init(body);
    } else {
        on_third(body);
    }
}

bool ControlHandshake::accept_header(const wire::ClearHeader& header) {
    if (header.version_min > wire::kProtocolVersion ||
        header.version_max < wire::kProtocolVersion ||
        header.suite != static_cast<std::uint8_t>(crypto::Suite::chacha20poly1305)) {
        refuse(ControlFailure::version, wire::RefusalCode::version);
    } else if (header.cluster_id != local_.cluster_id) {
        refuse(ControlFailure::cluster, wire::RefusalCode::cluster);
    } else if (secret(header.secret_id) == nullptr) {
        refuse(ControlFailure::unknown_secret, wire::RefusalCode::secret);
    }
    return status_ == Status::running;
}

void ControlHandshake::on_init(ByteView body) {
    const auto header = wire::ClearHeader::parse(body);
    if (!header || header->type != wire::DatagramType::control_init) {
        fail(ControlFailure::not_weavemesh);
        return;
    }
    if (!accept_header(*header)) {
        return;
    }
    noise_.emplace(crypto::Pattern::xx_psk3,
                   crypto::Suite::chacha20poly1305,
                   false,
                   body.first(wire::ClearHeader::kSize),
                   local_.identity->static_pair().clone(),
                   std::nullopt,
                   secret(header->secret_id)->key->clone());
    if (!noise_->read(body.subspan(wire::ClearHeader::kSize))) {
        fail(ControlFailure::malformed);
        return;
    }
    const auto answer = noise_->write(own_identity());
    if (!answer) {
        fail(ControlFailure::malformed);
        return;
    }
    wire::append_control_message(output_, *answer);
}

void ControlHandshake::on_second(ByteView body) {
    const auto payload = noise_->read(body);
    if (!payload) {
        // No secret is in play yet: whoever cannot do this much speaks something else.
        fail(ControlFailure::not_weavemesh);
        return;
    }
    const bool accepted = accept_identity(*payload);
    if (!accepted && failure_ != ControlFailure::identity_elsewhere) {
        return;
    }
    const auto last = noise_->write(own_identity());
    if (!last) {
        fail(ControlFailure::malformed);
        return;
    }
    wire::append_control_message(output_, *last); // a copy of ourselves is to know of us, too
    if (accepted) {
        make_ciphers();
    }
}

void ControlHandshake::on_confirmation(ByteView body) {
    if (!receiver_->open({}, body)) {
        fail(ControlFailure::wrong_secret);
        return;
    }
    status_ = Status::done;
}

void ControlHandshake::on_third(ByteView body) {
    const auto payload = noise_->read(body);
    if (!payload) {
        refuse(ControlFailure::wrong_secret, wire::RefusalCode::secret);
        return;
    }
    if (!accept_identity(*payload)) {
        return;
    }
    make_ciphers();
    wire::append_control_message(output_, sender_->seal({}, {}));
    status_ = Status::done;
}

bool ControlHandshake::accept_identity(ByteView payload) {
    auto said = wire::ControlIdentity::parse(payload);
    if (!said) {
        fail(ControlFailure::malformed);
        return false;
    }
    peer_.static_public = noise_->remote_static();
    if (!crypto::verify_static_vouch(said->sign_public, peer_.static_public, said->vouch)) {
        fail(ControlFailure::bad_vouch);
        return false;
    }
    if (said->sign_public == local_.identity->sign_public()) {
        const bool same_process = wire::instance_of(said->nonce) == wire::instance_of(local_.nonce);
        fail(same_process ? ControlFailure::self_connection : ControlFailure::identity_elsewhere);
        return false;
    }
    peer_.id = crypto::node_id(said->sign_public);
    peer_.sign_public = said->sign_public;
    peer_.name = std::move(said->name);
    peer_.boot_epoch = said->boot_epoch;
    peer_.nonce = said->nonce;
    peer_.features = said->features;
    peer_.udp_port = said->udp_port;
    peer_.version = wire::kProtocolVersion;
    return true;
}

Bytes ControlHandshake::own_identity() const {
    wire::ControlIdentity own;
    own.sign_public = local_.identity->sign_public();
    own.vouch = local_.identity->static_vouch();
    own.boot_epoch = local_.boot_epoch;
    own.nonce = local_.nonce;
    own.name = local_.name;
    own.features = local_.features;
    own.udp_port = local_.udp_port;
    return own.encode();
}

const ClusterSecret* ControlHandshake::secret(std::uint32_t id) const {
    for (const ClusterSecret& candidate : local_.secrets) {
        if (candidate.id == id) {
            return &candidate;
        }
    }
    return nullptr;
}

void ControlHandshake::make_ciphers() {
    crypto::Split split = noise_->split();
    crypto::CipherState to_responder(std::move(split.initiator_to_responder));
    crypto::CipherState to_initiator(std::move(split.responder_to_initiator));
    sender_.emplace(std::move(initiator_ ? to_responder : to_initiator));
    receiver_.emplace(std::move(initiator_ ? to_initiator : to_responder));
}

void ControlHandshake::fail(ControlFailure failure) {
    failure_ = failure;
    status_ = Status::failed;
    buffer_.clear();
}

void ControlHandshake::refuse(ControlFailure failure, wire::RefusalCode code) {
    wire::append_control_message(output_, wire::encode_control_refusal(code));
    fail(failure);
}

} // namespace weave::session
