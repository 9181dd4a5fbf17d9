// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/status.hpp"

namespace weave {

using nlohmann::json;

namespace {

/** Copies the field when it is there. */
template <class T> void read(const json& in, const char* name, T& out) {
    if (const auto found = in.find(name); found != in.end() && !found->is_null()) {
        found->get_to(out);
    }
}

struct Writer {
    json& out;

    template <class T> void operator()(const char* name, const T& field) const {
        out[name] = field;
    }
};

struct Reader {
    const json& in;

    template <class T> void operator()(const char* name, T& field) const { read(in, name, field); }
};

// One list of fields per struct, used both ways. The names in JSON are those in C++ and are a
// promise.

template <class Row, class Visit> void visit_cipher(Row& row, Visit visit) {
    visit("suite", row.suite);
    visit("provider", row.provider);
    visit("state", row.state);
    visit("large_ns", row.large_ns);
    visit("small_ns", row.small_ns);
}

template <class Row, class Visit> void visit_status(Row& row, Visit visit) {
    visit("version", row.version);
    visit("name", row.name);
    visit("node_id", row.node_id);
    visit("cluster_id", row.cluster_id);
    visit("addresses", row.addresses);
    visit("port", row.port);
    visit("encryption", row.encryption);
    visit("cipher_provider", row.cipher_provider);
    visit("uptime_seconds", row.uptime_seconds);
    visit("lanes", row.lanes);
    visit("sparse_lanes", row.sparse_lanes);
    visit("peers_direct", row.peers_direct);
    visit("peers_relayed", row.peers_relayed);
    visit("peers_unreachable", row.peers_unreachable);
    visit("connections_established", row.connections_established);
    visit("connections_pending", row.connections_pending);
    visit("connections_failed", row.connections_failed);
    visit("targets", row.targets);
    visit("attachments", row.attachments);
    visit("drops_total", row.drops_total);
    visit("handshakes_total", row.handshakes_total);
    visit("rekeys_total", row.rekeys_total);
    visit("udp_socket_drops_total", row.udp_socket_drops_total);
    visit("exposed", row.exposed);
    visit("warnings", row.warnings);
    visit("ciphers", row.ciphers);
    visit("fast_path", row.fast_path);
    visit("fast_paths", row.fast_paths);
}

template <class Row, class Visit> void visit_fast_path(Row& row, Visit visit) {
    visit("interface", row.interface);
    visit("path", row.path);
    visit("reason", row.reason);
    visit("sent", row.sent);
    visit("received", row.received);
    visit("dropped", row.dropped);
    visit("stalls", row.stalls);
}

template <class Row, class Visit> void visit_connection(Row& row, Visit visit) {
    visit("direction", row.direction);
    visit("endpoint", row.endpoint);
    visit("peer", row.peer);
    visit("state", row.state);
    visit("path", row.path);
    visit("cipher", row.cipher);
    visit("mtu", row.mtu);
    visit("rtt_ms", row.rtt_ms);
    visit("reason", row.reason);
}

template <class Row, class Visit> void visit_peer(Row& row, Visit visit) {
    visit("name", row.name);
    visit("id", row.id);
    visit("addresses", row.addresses);
    visit("path", row.path);
    visit("rtt_ms", row.rtt_ms);
    visit("mtu", row.mtu);
    visit("transmit_bytes", row.transmit_bytes);
    visit("transmit_packets", row.transmit_packets);
    visit("receive_bytes", row.receive_bytes);
    visit("receive_packets", row.receive_packets);
    visit("key_age_seconds", row.key_age_seconds);
    visit("pods", row.pods);
    visit("cipher", row.cipher);
    visit("trains", row.trains);
}

template <class Row, class Visit> void visit_target(Row& row, Visit visit) {
    visit("target", row.target);
    visit("origin", row.origin);
    visit("state", row.state);
    visit("peer", row.peer);
    visit("attempts", row.attempts);
    visit("next_attempt_ms", row.next_attempt_ms);
    visit("reason", row.reason);
}

template <class Row, class Visit> void visit_drop(Row& row, Visit visit) {
    visit("name", row.name);
    visit("text", row.text);
    visit("count", row.count);
    visit("lanes", row.lanes);
}

template <class Row, class Visit> void visit_lane(Row& row, Visit visit) {
    visit("lane", row.lane);
    visit("tap_reads", row.tap_reads);
    visit("tap_writes", row.tap_writes);
    visit("records_sealed", row.records_sealed);
    visit("records_opened", row.records_opened);
    visit("sends", row.sends);
    visit("receives", row.receives);
    visit("relayed", row.relayed);
    visit("gso_fallbacks", row.gso_fallbacks);
    visit("tap_gso_fallbacks", row.tap_gso_fallbacks);
    visit("neighbours_answered", row.neighbours_answered);
    visit("neighbours_here", row.neighbours_here);
    visit("congestion_marks", row.congestion_marks);
    visit("fast_sent", row.fast_sent);
    visit("fast_received", row.fast_received);
}

template <class Row, class Visit> void visit_attachment(Row& row, Visit visit) {
    visit("id", row.id);
    visit("ifname", row.ifname);
    visit("host_ifname", row.host_ifname);
    visit("mac", row.mac);
    visit("addresses", row.addresses);
    visit("netns_inode", row.netns_inode);
    visit("host_mac", row.host_mac);
    visit("mtu", row.mtu);
    visit("mode", row.mode);
    visit("gateways", row.gateways);
}

template <class Row, class Visit> void visit_allocation(Row& row, Visit visit) {
    visit("addresses", row.addresses);
    visit("gateways", row.gateways);
}

template <class Row, class Visit> void visit_released(Row& row, Visit visit) {
    visit("holder", row.holder);
    visit("addresses", row.addresses);
}

template <class Row, class Visit> void visit_readiness(Row& row, Visit visit) {
    visit("ready", row.ready);
    visit("reason", row.reason);
}

/** An object even where every field is empty, and an exception for anything else on the way in. */
json& as_object(json& out) {
    return out = json::object();
}

const json& as_object(const json& in) {
    (void)in.get_ref<const json::object_t&>();
    return in;
}

} // namespace

void to_json(json& out, const CipherRow& value) {
    visit_cipher(value, Writer{as_object(out)});
}

void from_json(const json& in, CipherRow& value) {
    visit_cipher(value, Reader{as_object(in)});
}

void to_json(json& out, const NodeStatus& value) {
    visit_status(value, Writer{as_object(out)});
}

void from_json(const json& in, NodeStatus& value) {
    visit_status(value, Reader{as_object(in)});
}

void to_json(json& out, const ConnectionRow& value) {
    visit_connection(value, Writer{as_object(out)});
}

void from_json(const json& in, ConnectionRow& value) {
    visit_connection(value, Reader{as_object(in)});
}

void to_json(json& out, const PeerRow& value) {
    visit_peer(value, Writer{as_object(out)});
}

void from_json(const json& in, PeerRow& value) {
    visit_peer(value, Reader{as_object(in)});
}

void to_json(json& out, const TargetRow& value) {
    visit_target(value, Writer{as_object(out)});
}

void from_json(const json& in, TargetRow& value) {
    visit_target(value, Reader{as_object(in)});
}

void to_json(json& out, const DropRow& value) {
    visit_drop(value, Writer{as_object(out)});
}

void from_json(const json& in, DropRow& value) {
    visit_drop(value, Reader{as_object(in)});
}

void to_json(json& out, const FastPathRow& value) {
    visit_fast_path(value, Writer{as_object(out)});
}

void from_json(const json& in, FastPathRow& value) {
    visit_fast_path(value, Reader{as_object(in)});
}

void to_json(json& out, const LaneRow& value) {
    visit_lane(value, Writer{as_object(out)});
}

void to_json(json& out, const AttachmentRow& value) {
    visit_attachment(value, Writer{as_object(out)});
}

void from_json(const json& in, AttachmentRow& value) {
    visit_attachment(value, Reader{as_object(in)});
}

void to_json(json& out, const Allocation& value) {
    visit_allocation(value, Writer{as_object(out)});
}

void from_json(const json& in, Allocation& value) {
    visit_allocation(value, Reader{as_object(in)});
}

void to_json(json& out, const ReleasedRow& value) {
    visit_released(value, Writer{as_object(out)});
}

void from_json(const json& in, ReleasedRow& value) {
    visit_released(value, Reader{as_object(in)});
}

void to_json(json& out, const Readiness& value) {
    visit_readiness(value, Writer{as_object(out)});
}

void from_json(const json& in, Readiness& value) {
    visit_readiness(value, Reader{as_object(in)});
}

namespace api {

void to_json(json& out, const NodeReport& value) {
    out = {{"status", value.status},
           {"connections", value.connections},
           {"peers", value.peers},
           {"targets", value.targets},
           {"drops", value.drops},
           {"attachments", value.attachments},
           {"lanes", value.lanes}};
}

std::string json_text(const json& value) {
    return value.dump(2, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) + "\n";
}

} // namespace api
} // namespace weave
