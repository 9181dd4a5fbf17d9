// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/status.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

namespace weave::api {

namespace {

/**
 * A label value in its quotes. One remote name with a byte that is not UTF-8 would cost the whole
 * page, so those are replaced; of the escapes of JSON only \" and \\ are left, which mean the same
 * here.
 */
std::string quoted(std::string_view value) {
    std::string text(value);
    std::replace_if(
        text.begin(),
        text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
        '?');
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string decimal(double value) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.9g", value);
    return buffer.data();
}

/** Writes the page; a metric's HELP and TYPE come before its samples, as the format asks. */
class Page {
  public:
    void metric(const char* name, const char* type, const char* help) {
        name_ = name;
        out_ += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    }

    void sample(const std::string& value) { out_ += name_ + " " + value + "\n"; }

    void sample(const char* label, std::string_view text, const std::string& value) {
        out_ += name_ + "{" + label + "=" + quoted(text) + "} " + value + "\n";
    }

    void sample(const char* label,
                std::string_view text,
                const char* other,
                const std::string& number,
                const std::string& value) {
        out_ += name_ + "{" + label + "=" + quoted(text) + "," + other + "=" +
                quoted(std::string_view{number}) + "} " + value + "\n";
    }

    void single(const char* name, const char* type, const char* help, std::uint64_t value) {
        metric(name, type, help);
        sample(std::to_string(value));
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    std::string name_;
    std::string out_;
};

void node_metrics(Page& page, const NodeStatus& status) {
    page.metric("weave_info", "gauge", "The version that runs; always 1.");
    page.sample("version", status.version, "1");
    page.single("weave_uptime_seconds",
                "gauge",
                "Seconds since the daemon started.",
                status.uptime_seconds);
    page.single("weave_encryption_enabled",
                "gauge",
                "1 when packets to other nodes are sealed, 0 with --clear.",
                status.encryption ? 1 : 0);
    page.single("weave_attachments", "gauge", "Pod interfaces on this host.", status.attachments);
    page.metric("weave_peers", "gauge", "Known peers by the path that reaches them.");
    page.sample("path", "direct", std::to_string(status.peers_direct));
    page.sample("path", "relay", std::to_string(status.peers_relayed));
    page.sample("path", "unreachable", std::to_string(status.peers_unreachable));
    page.single("weave_handshakes_total",
                "counter",
                "Data session handshakes completed.",
                status.handshakes_total);
    page.single("weave_rekeys_total",
                "counter",
                "Data sessions whose keys were replaced.",
                status.rekeys_total);
    page.single("weave_udp_socket_drops_total",
                "counter",
                "Datagrams the kernel dropped because a socket of ours was full.",
                status.udp_socket_drops_total);
}

void cipher_metrics(Page& page, const std::vector<CipherRow>& rows) {
    page.metric(
        "weave_cipher_used", "gauge", "1 for the library that does the cipher, 0 for others.");
    for (const CipherRow& row : rows) {
        page.sample("suite", row.suite, "provider", row.provider, row.state == "used" ? "1" : "0");
    }
    page.metric("weave_cipher_record_seconds",
                "gauge",
                "Time to seal or open a record of 1420 bytes, measured at the start.");
    for (const CipherRow& row : rows) {
        if (row.large_ns > 0) {
            page.sample("suite", row.suite, "provider", row.provider, decimal(row.large_ns / 1e9));
        }
    }
}

void connection_metrics(Page& page, const std::vector<ConnectionRow>& rows) {
    // Every state has a sample, so that an alert on one that is rare has something to look at.
    std::map<std::string, std::uint64_t> states{{"connecting", 0},
                                                {"established", 0},
                                                {"failed", 0},
                                                {"retrying", 0},
                                                {"self", 0},
                                                {"spare", 0},
                                                {"waiting", 0}};
    for (const ConnectionRow& row : rows) {
        ++states[row.state];
    }
    page.metric("weave_connections", "gauge", "Control connections by state.");
    for (const auto& [state, count] : states) {
        page.sample("state", state, std::to_string(count));
    }
}

void peer_counter(Page& page,
                  const std::vector<PeerRow>& rows,
                  const char* name,
                  const char* help,
                  std::uint64_t PeerRow::*field) {
    page.metric(name, "counter", help);
    for (const PeerRow& row : rows) {
        page.sample("peer", row.name, std::to_string(row.*field));
    }
}

void peer_metrics(Page& page, const std::vector<PeerRow>& rows) {
    peer_counter(page,
                 rows,
                 "weave_peer_transmit_bytes_total",
                 "Bytes of frames sent to the peer, before sealing.",
                 &PeerRow::transmit_bytes);
    peer_counter(page,
                 rows,
                 "weave_peer_transmit_packets_total",
                 "Frames sent to the peer, cut as on the wire.",
                 &PeerRow::transmit_packets);
    peer_counter(page,
                 rows,
                 "weave_peer_receive_bytes_total",
                 "Bytes of frames received from the peer, opened.",
                 &PeerRow::receive_bytes);
    peer_counter(page,
                 rows,
                 "weave_peer_receive_packets_total",
                 "Frames received from the peer, as on the wire.",
                 &PeerRow::receive_packets);
    page.metric("weave_peer_rtt_seconds", "gauge", "Round trip to the peer, where it is known.");
    for (const PeerRow& row : rows) {
        if (row.rtt_ms > 0) {
            page.sample("peer", row.name, decimal(row.rtt_ms / 1000));
        }
    }
    page.metric(
        "weave_peer_mtu_bytes", "gauge", "Largest underlay packet that passes to the peer.");
    for (const PeerRow& row : rows) {
        if (row.mtu > 0) {
            page.sample("peer", row.name, std::to_string(row.mtu));
        }
    }
}

void drop_metrics(Page& page, const std::vector<DropRow>& rows) {
    page.metric("weave_drops_total", "counter", "Packets dropped, by reason and lane.");
    for (const DropRow& row : rows) {
        if (row.lanes.empty()) {
            page.sample("reason", row.name, std::to_string(row.count));
        }
        for (std::size_t lane = 0; lane < row.lanes.size(); ++lane) {
            page.sample(
                "reason", row.name, "lane", std::to_string(lane), std::to_string(row.lanes[lane]));
        }
    }
}

void lane_counter(Page& page,
                  const std::vector<LaneRow>& rows,
                  const char* name,
                  const char* help,
                  std::uint64_t LaneRow::*field) {
    page.metric(name, "counter", help);
    for (const LaneRow& row : rows) {
        page.sample("lane", std::to_string(row.lane), std::to_string(row.*field));
    }
}

void lane_metrics(Page& page, const std::vector<LaneRow>& rows) {
    const auto counter = [&](const char* name, const char* help, std::uint64_t LaneRow::*field) {
        lane_counter(page, rows, name, help, field);
    };
    counter("weave_lane_tap_reads_total", "Frames and superframes from pods.", &LaneRow::tap_reads);
    counter("weave_lane_tap_writes_total", "Frames and superframes to pods.", &LaneRow::tap_writes);
    counter("weave_lane_records_sealed_total", "Datagrams sealed.", &LaneRow::records_sealed);
    counter("weave_lane_records_opened_total", "Datagrams opened.", &LaneRow::records_opened);
    counter("weave_lane_sends_total",
            "Calls that sent a datagram or a train of them.",
            &LaneRow::sends);
    counter("weave_lane_receives_total", "Datagrams or trains received.", &LaneRow::receives);
    counter("weave_lane_relayed_total", "Datagrams passed on for other nodes.", &LaneRow::relayed);
    counter("weave_lane_gso_fallbacks_total",
            "Trains that the kernel refused and took one datagram at a time.",
            &LaneRow::gso_fallbacks);
    counter("weave_lane_tap_gso_fallbacks_total",
            "Superframes written to the TAP one frame at a time.",
            &LaneRow::tap_gso_fallbacks);
    counter("weave_lane_neighbours_answered_total",
            "ARP and ND questions answered for pods of other nodes.",
            &LaneRow::neighbours_answered);
    counter("weave_lane_neighbours_here_total",
            "ARP and ND questions for addresses of this node, which did not travel.",
            &LaneRow::neighbours_here);
    counter("weave_lane_congestion_marks_total",
            "Frames that got the underlay's congestion mark (ECN).",
            &LaneRow::congestion_marks);
    counter("weave_lane_fast_sent_total",
            "Datagrams that went past the kernel's sockets.",
            &LaneRow::fast_sent);
    counter("weave_lane_fast_received_total",
            "Datagrams that came past the kernel's sockets.",
            &LaneRow::fast_received);
}

void fast_path_metrics(Page& page, const std::vector<FastPathRow>& rows) {
    const auto counter =
        [&](const char* name, const char* type, const char* help, const auto& value) {
            page.metric(name, type, help);
            for (const FastPathRow& row : rows) {
                page.sample("interface", row.interface, std::to_string(value(row)));
            }
        };
    counter("weave_fast_path",
            "gauge",
            "1: datagrams by this interface go past the kernel's sockets.",
            [](const FastPathRow& row) { return row.path == "sockets" ? 0 : 1; });
    counter("weave_fast_path_dropped_total",
            "counter",
            "Datagrams that came past the kernel's sockets and found no room.",
            [](const FastPathRow& row) { return row.dropped; });
    counter("weave_fast_path_stalls_total",
            "counter",
            "Times that an interface's own sockets stood still and were left.",
            [](const FastPathRow& row) { return row.stalls; });
}

} // namespace

std::string render_prometheus(const NodeReport& report) {
    Page page;
    node_metrics(page, report.status);
    cipher_metrics(page, report.status.ciphers);
    connection_metrics(page, report.connections);
    peer_metrics(page, report.peers);
    drop_metrics(page, report.drops);
    lane_metrics(page, report.lanes);
    fast_path_metrics(page, report.status.fast_paths);
    return page.take();
}

} // namespace weave::api
