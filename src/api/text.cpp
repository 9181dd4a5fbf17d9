// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/status.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace weave::api {

namespace {

/** Without control characters (C0, DEL, C1 in UTF-8): a remote name must not steer a terminal. */
std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool c1 = c == 0xc2 && i + 1 < text.size() &&
                        static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                        static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (c1) {
            ++i;
        }
        out.push_back(c < 0x20 || c == 0x7f || c1 ? '?' : text[i]);
    }
    return out;
}

/** A cell of a middle column: one word, so that awk can count on the columns. */
std::string word(std::string_view text) {
    std::string out = printable(text);
    std::replace(out.begin(), out.end(), ' ', '_');
    return out.empty() ? "-" : out;
}

std::string rest(std::string_view text) {
    return text.empty() ? "-" : printable(text);
}

std::string number(std::uint64_t value) {
    return value == 0 ? "-" : std::to_string(value);
}

std::string milliseconds(double value) {
    if (value <= 0) {
        return "-";
    }
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%.2f", value);
    return buffer.data();
}

std::string list(const std::vector<std::string>& values, std::string_view separator) {
    std::string out;
    for (const std::string& value : values) {
        out.append(out.empty() ? "" : separator).append(printable(value));
    }
    return out.empty() ? "-" : out;
}

std::string duration(std::uint64_t seconds) {
    constexpr std::uint64_t kMinute = 60;
    constexpr std::uint64_t kHour = 60 * kMinute;
    constexpr std::uint64_t kDay = 24 * kHour;
    const auto text = [](std::uint64_t value, const char* unit) {
        return std::to_string(value) + unit;
    };
    if (seconds >= kDay) {
        return text(seconds / kDay, "d") + text(seconds % kDay / kHour, "h");
    }
    if (seconds >= kHour) {
        return text(seconds / kHour, "h") + text(seconds % kHour / kMinute, "m");
    }
    if (seconds >= kMinute) {
        return text(seconds / kMinute, "m") + text(seconds % kMinute, "s");
    }
    return text(seconds, "s");
}

using Line = std::vector<std::string>;

/** Columns as wide as their widest cell, two blanks between them, none at the end of a line. */
std::string table(const std::vector<Line>& lines) {
    std::vector<std::size_t> widths;
    for (const Line& line : lines) {
        widths.resize(std::max(widths.size(), line.size()));
        for (std::size_t i = 0; i < line.size(); ++i) {
            widths[i] = std::max(widths[i], line[i].size());
        }
    }
    std::string out;
    for (const Line& line : lines) {
        for (std::size_t i = 0; i < line.size(); ++i) {
            out += line[i];
            if (i + 1 < line.size()) {
                out.append(widths[i] + 2 - line[i].size(), ' ');
            }
        }
        out += '\n';
    }
    return out;
}

std::string lanes_text(const NodeStatus& status) {
    const std::string out = std::to_string(status.lanes);
    return status.sparse_lanes == 0
               ? out
               : out + ", and " + std::to_string(status.sparse_lanes) + " for sparse flows";
}

std::string peers_text(const NodeStatus& status) {
    return std::to_string(status.peers_direct) + " direct, " +
           std::to_string(status.peers_relayed) + " relayed, " +
           std::to_string(status.peers_unreachable) + " unreachable";
}

/** Who does it, and how quickly. */
std::string cipher_text(const CipherRow& row) {
    return rest(row.suite) + " by " + rest(row.provider) + ", " + std::to_string(row.large_ns) +
           " ns for a record of 1420 bytes, " + std::to_string(row.small_ns) + " ns for 64";
}

std::string connections_text(const NodeStatus& status) {
    return std::to_string(status.connections_established) + " established, " +
           std::to_string(status.connections_pending) + " pending, " +
           std::to_string(status.connections_failed) + " failed";
}

} // namespace

std::string render_table(std::vector<Line> lines) {
    for (Line& line : lines) {
        for (std::string& cell : line) {
            cell = rest(cell);
        }
    }
    return table(lines);
}

/** One line for each interface. */
void add_fast_paths(const NodeStatus& status, std::vector<Line>& lines) {
    lines.push_back({"fast path:", rest(status.fast_path)});
    for (const FastPathRow& row : status.fast_paths) {
        std::string text = printable(row.path) + ", " + printable(row.reason) + "; sent " +
                           std::to_string(row.sent) + ", received " + std::to_string(row.received) +
                           ", dropped " + std::to_string(row.dropped) + ", stalls " +
                           std::to_string(row.stalls);
        lines.push_back({"on " + printable(row.interface) + ':', std::move(text)});
    }
}

std::string render_status(const NodeStatus& status) {
    std::vector<Line> lines{
        {"version:", rest(status.version)},
        {"name:", rest(status.name)},
        {"node id:", rest(status.node_id)},
        {"cluster id:", rest(status.cluster_id)},
        {"addresses:", list(status.addresses, " ")},
        {"port:", std::to_string(status.port)},
        {"encryption:", status.encryption ? "on" : "off"},
        {"uptime:", duration(status.uptime_seconds)},
        {"lanes:", lanes_text(status)},
        {"peers:", peers_text(status)},
        {"connections:", connections_text(status)},
        {"targets:", std::to_string(status.targets)},
        {"attachments:", std::to_string(status.attachments)},
        {"exposed:", list(status.exposed, " ")},
        {"drops:", std::to_string(status.drops_total)},
    };
    for (const CipherRow& row : status.ciphers) {
        if (row.state == "used") {
            lines.push_back({"cipher:", cipher_text(row)});
        }
    }
    add_fast_paths(status, lines);
    for (const std::string& warning : status.warnings) {
        lines.push_back({"warning:", printable(warning)});
    }
    return table(lines);
}

std::string render_connections(const std::vector<ConnectionRow>& rows) {
    std::vector<Line> lines{
        {"DIR", "ENDPOINT", "PEER", "STATE", "PATH", "CIPHER", "MTU", "RTT_MS", "REASON"}};
    for (const ConnectionRow& row : rows) {
        lines.push_back({word(row.direction),
                         word(row.endpoint),
                         word(row.peer),
                         word(row.state),
                         word(row.path),
                         word(row.cipher),
                         number(row.mtu),
                         milliseconds(row.rtt_ms),
                         rest(row.reason)});
    }
    return table(lines);
}

std::string render_peers(const std::vector<PeerRow>& rows) {
    std::vector<Line> lines{{"NAME",
                             "ID",
                             "PATH",
                             "RTT_MS",
                             "MTU",
                             "TX_BYTES",
                             "TX_PACKETS",
                             "RX_BYTES",
                             "RX_PACKETS",
                             "KEY_AGE",
                             "PODS",
                             "CIPHER",
                             "TRAINS",
                             "ADDRESSES"}};
    for (const PeerRow& row : rows) {
        const bool keyed = row.key_age_seconds >= 0;
        lines.push_back(
            {word(row.name),
             word(row.id),
             word(row.path),
             milliseconds(row.rtt_ms),
             number(row.mtu),
             std::to_string(row.transmit_bytes),
             std::to_string(row.transmit_packets),
             std::to_string(row.receive_bytes),
             std::to_string(row.receive_packets),
             keyed ? duration(static_cast<std::uint64_t>(row.key_age_seconds)) : std::string("-"),
             std::to_string(row.pods),
             word(row.cipher),
             word(row.trains),
             list(row.addresses, ",")});
    }
    return table(lines);
}

std::string render_targets(const std::vector<TargetRow>& rows) {
    std::vector<Line> lines{{"TARGET", "ORIGIN", "STATE", "PEER", "ATTEMPTS", "NEXT_MS", "REASON"}};
    for (const TargetRow& row : rows) {
        lines.push_back({word(row.target),
                         word(row.origin),
                         word(row.state),
                         word(row.peer),
                         std::to_string(row.attempts),
                         number(row.next_attempt_ms),
                         rest(row.reason)});
    }
    return table(lines);
}

std::string render_drops(const std::vector<DropRow>& rows) {
    std::vector<Line> lines{{"COUNT", "NAME", "MEANING"}};
    for (const DropRow& row : rows) {
        lines.push_back({std::to_string(row.count), word(row.name), rest(row.text)});
    }
    return table(lines);
}

std::string render_attachments(const std::vector<AttachmentRow>& rows) {
    std::vector<Line> lines{{"ID", "IFNAME", "HOST_IFNAME", "MAC", "NETNS", "MODE", "ADDRESSES"}};
    for (const AttachmentRow& row : rows) {
        lines.push_back({word(row.id),
                         word(row.ifname),
                         word(row.host_ifname),
                         word(row.mac),
                         number(row.netns_inode),
                         word(row.mode),
                         list(row.addresses, ",")});
    }
    return table(lines);
}

} // namespace weave::api
