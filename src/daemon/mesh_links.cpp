// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The TCP links below the mesh: who is dialled, what comes of it, how links end.
#include "daemon/mesh_plane.hpp"

namespace weave::daemon {
namespace {

bool retry_helps(session::ControlFailure failure) {
    return failure == session::ControlFailure::not_weavemesh ||
           failure == session::ControlFailure::malformed;
}

/** The last message on a link. */
Bytes farewell(const mesh::Close& close) {
    return wire::encode_notice(wire::LinkMessageKind::close,
                               {close.code, close.address, close.reason});
}

mesh::Failure failure_of(wire::NoticeCode code) {
    switch (code) {
    case wire::NoticeCode::duplicate:
        return mesh::Failure::duplicate;
    case wire::NoticeCode::identity_twice:
        return mesh::Failure::identity_twice;
    case wire::NoticeCode::crowded:
        return mesh::Failure::crowded;
    case wire::NoticeCode::unspecified:
    case wire::NoticeCode::shutting_down:
        break;
    }
    return mesh::Failure::unreachable;
}

} // namespace

MeshPlane::~MeshPlane() {
    links_.stop(farewell({0, "the node stops", wire::NoticeCode::shutting_down}));
}

session::ControlLocal MeshPlane::control_local(std::uint64_t nonce) const {
    session::ControlLocal local;
    local.identity = &state_.identity();
    local.cluster_id = cluster_.id;
    for (const Cluster::Secret& secret : cluster_.secrets) {
        local.secrets.push_back({secret.id, secret.key});
    }
    local.name = settings_.name;
    local.boot_epoch = mesh_.epoch();
    local.nonce = nonce;
    local.udp_port = settings_.port;
    return local;
}

net::LinkEvents MeshPlane::link_events() {
    net::LinkEvents events;
    events.on_up = [this](const net::LinkUp& up) { on_link_up(up); };
    events.on_message = [this](net::LinkId link, ByteView message) { on_message(link, message); };
    events.on_down = [this](net::LinkId link, const std::string& reason) {
        on_link_ended(link, mesh::Failure::unreachable, reason, Clock::now());
    };
    events.on_pressure = [this](net::LinkId link, bool pressed) {
        mesh_.set_link_blocked(link, pressed);
        run_mesh(Clock::now());
    };
    events.on_failed = [this](net::LinkId link,
                              const Endpoint& to,
                              std::optional<session::ControlFailure> refusal,
                              const std::string& reason) {
        on_dial_failed(link, to, refusal, reason);
    };
    events.on_refused = [this](const Endpoint& from,
                               std::optional<session::ControlFailure> failure,
                               const std::string& reason) { on_refused(from, failure, reason); };
    return events;
}

void MeshPlane::listen() {
    if (!settings_.listen.empty()) {
        for (const IpAddress& address : settings_.listen) {
            links_.listen({address, settings_.port});
        }
        return;
    }
    links_.listen({IpAddress{}, settings_.port});
    try {
        links_.listen({*IpAddress::parse("::"), settings_.port});
    } catch (const std::system_error& error) {
        log::warning("event=no_ipv6_control reason={}", log::quoted(error.what()));
    }
}

void MeshPlane::on_link_up(const net::LinkUp& up) {
    const TimePoint now = Clock::now();
    mesh::Connected connected;
    connected.link = up.link;
    const auto dial = dials_.find(up.link);
    if (dial != dials_.end()) {
        connected.dial = dial->second;
        dialled_.erase(dial->second);
        dials_.erase(dial);
    }
    connected.node = up.peer.id;
    connected.remote = up.remote;
    connected.local_nonce = up.own_nonce;
    connected.remote_nonce = up.peer.nonce;
    connected.remote_instance = wire::instance_of(up.peer.nonce);
    connected.boot_epoch = up.peer.boot_epoch;
    connected.own_boot_epoch = up.own_boot_epoch;
    if (rate_.allow("link_up " + up.peer.id.fingerprint(), now)) {
        log::info("event=link_up link={} peer={} node={} address={} direction={}",
                  up.link,
                  log::quoted(up.peer.name),
                  up.peer.id.fingerprint(),
                  up.remote.text(),
                  up.outbound ? "out" : "in");
    }
    std::erase_if(refused_, [&](const auto& it) { return it.first.address == up.remote.address; });
    mesh_.on_link_up(up.link, up.peer.id, now);
    connector_.on_connected(connected, now);
    run_connector(now);
    run_mesh(now);
}

void MeshPlane::on_message(net::LinkId link, ByteView message) {
    const TimePoint now = Clock::now();
    const auto kind = wire::link_message_kind(message);
    if (kind != wire::LinkMessageKind::notice && kind != wire::LinkMessageKind::close) {
        mesh_.on_message(link, message, now);
        run_mesh(now);
        return;
    }
    const auto notice = wire::decode_notice(wire::link_message_body(message));
    if (!notice) {
        ++counted_["mesh_malformed_message"];
        return;
    }
    if (notice->code == wire::NoticeCode::identity_twice && notice->address) {
        note_copy(mesh_.self(), {{*notice->address, 0}}, now);
    }
    if (kind == wire::LinkMessageKind::close) {
        on_close(link, *notice, now);
    }
}

void MeshPlane::on_close(net::LinkId link, const wire::Notice& notice, TimePoint now) {
    links_.close(link);
    on_link_ended(link,
                  failure_of(notice.code),
                  notice.text.empty() ? "closed by the peer" : "the peer says: " + notice.text,
                  now);
}

void MeshPlane::on_link_ended(net::LinkId link,
                              mesh::Failure failure,
                              const std::string& reason,
                              TimePoint now) {
    if (failure == mesh::Failure::crowded) {
        log::debug("event=link_down link={} reason={}", link, log::quoted(reason)); // all the time
    } else if (rate_.allow("link_down", now)) {
        log::info("event=link_down link={} reason={}", link, log::quoted(reason));
    }
    mesh_.on_link_down(link);
    connector_.on_closed(link, failure, reason, now);
    run_connector(now);
    run_mesh(now);
}

void MeshPlane::on_dial_failed(net::LinkId link,
                               const Endpoint& to,
                               std::optional<session::ControlFailure> refusal,
                               const std::string& reason) {
    const TimePoint now = Clock::now();
    const auto dial = dials_.find(link);
    if (dial == dials_.end()) {
        return;
    }
    const mesh::DialId id = dial->second;
    dials_.erase(dial);
    dialled_.erase(id);
    const bool refused = refusal && !retry_helps(*refusal);
    if (rate_.allow("dial " + to.address.text(), now)) {
        log::info("event=connect_failed address={} reason={}", to.text(), log::quoted(reason));
    }
    if (refusal == session::ControlFailure::identity_elsewhere) {
        note_copy(mesh_.self(), {to}, now);
    }
    const bool self = refusal == session::ControlFailure::self_connection;
    connector_.on_failed(id,
                         self      ? mesh::Failure::self
                         : refused ? mesh::Failure::refused
                                   : mesh::Failure::unreachable,
                         reason,
                         now);
    run_connector(now);
}

void MeshPlane::on_refused(const Endpoint& from,
                           std::optional<session::ControlFailure> failure,
                           const std::string& reason) {
    ++counted_[failure ? "control_handshake_failed" : "control_connection_refused"];
    if (failure == session::ControlFailure::identity_elsewhere) {
        note_copy(mesh_.self(), {from}, Clock::now());
    } else if (failure) {
        // The newest of each address: a source that tries again and again takes one line.
        std::erase_if(refused_,
                      [&](const auto& each) { return each.first.address == from.address; });
        refused_.emplace_back(from, reason);
        if (refused_.size() > 16) {
            refused_.erase(refused_.begin());
        }
    }
    if (rate_.allow("refused " + from.address.text(), Clock::now())) {
        log::warning("event=link_refused address={} reason={}", from.text(), log::quoted(reason));
    }
}

void MeshPlane::run_connector(TimePoint now) {
    connector_.tick(now);
    mesh_.set_partial(connector_.partial(), now);
    mesh_.set_neighbours(connector_.neighbours(), now);
    for (const mesh::ConnectorAction& action : connector_.take_actions()) {
        carry_out(action, now);
    }
}

void MeshPlane::carry_out(const mesh::ConnectorAction& action, TimePoint now) {
    if (const auto* dial = std::get_if<mesh::Dial>(&action)) {
        const net::LinkId link = links_.dial(dial->endpoint);
        dials_[link] = dial->dial;
        dialled_[dial->dial] = link;
    } else if (const auto* cancel = std::get_if<mesh::CancelDial>(&action)) {
        const auto entry = dialled_.find(cancel->dial);
        if (entry != dialled_.end()) {
            links_.close(entry->second);
            dials_.erase(entry->second);
            dialled_.erase(entry);
        }
    } else if (const auto* close = std::get_if<mesh::Close>(&action)) {
        log::debug("event=link_closed link={} reason={}", close->link, log::quoted(close->reason));
        links_.close(close->link, farewell(*close));
        mesh_.on_link_down(close->link);
        connector_.on_closed(close->link, mesh::Failure::duplicate, close->reason, now);
    } else if (const auto* tell = std::get_if<mesh::TellCopied>(&action)) {
        links_.send(tell->link,
                    wire::encode_notice(wire::LinkMessageKind::notice,
                                        {wire::NoticeCode::identity_twice,
                                         tell->other,
                                         "another router runs with the same identity"}));
    } else if (const auto* twice = std::get_if<mesh::IdentityTwice>(&action)) {
        note_copy(twice->node, {twice->one, twice->other}, now);
    }
}

} // namespace weave::daemon
