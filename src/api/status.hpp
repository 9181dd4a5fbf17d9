// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <weave/types.hpp>

#include <string>
#include <vector>

namespace weave {

// Found by nlohmann_json through the namespace of the types. Reading: what is missing keeps its
// default, what is unknown is skipped, a field of the wrong type throws nlohmann::json::exception.
void to_json(nlohmann::json& out, const CipherRow& value);
void from_json(const nlohmann::json& in, CipherRow& value);
void to_json(nlohmann::json& out, const FastPathRow& value);
void from_json(const nlohmann::json& in, FastPathRow& value);
void to_json(nlohmann::json& out, const NodeStatus& value);
void from_json(const nlohmann::json& in, NodeStatus& value);
void to_json(nlohmann::json& out, const ConnectionRow& value);
void from_json(const nlohmann::json& in, ConnectionRow& value);
void to_json(nlohmann::json& out, const PeerRow& value);
void from_json(const nlohmann::json& in, PeerRow& value);
void to_json(nlohmann::json& out, const TargetRow& value);
void from_json(const nlohmann::json& in, TargetRow& value);
void to_json(nlohmann::json& out, const DropRow& value);
void from_json(const nlohmann::json& in, DropRow& value);
void to_json(nlohmann::json& out, const LaneRow& value);
void to_json(nlohmann::json& out, const AttachmentRow& value);
void from_json(const nlohmann::json& in, AttachmentRow& value);
void to_json(nlohmann::json& out, const Allocation& value);
void from_json(const nlohmann::json& in, Allocation& value);
void to_json(nlohmann::json& out, const ReleasedRow& value);
void from_json(const nlohmann::json& in, ReleasedRow& value);
void to_json(nlohmann::json& out, const Readiness& value);
void from_json(const nlohmann::json& in, Readiness& value);

namespace api {

/** Everything a daemon tells about itself at one moment: the report, and what the metrics are made
 * of. */
struct NodeReport {
    NodeStatus status;
    std::vector<ConnectionRow> connections;
    std::vector<PeerRow> peers;
    std::vector<TargetRow> targets;
    std::vector<DropRow> drops;
    std::vector<AttachmentRow> attachments;
    std::vector<LaneRow> lanes;
};

void to_json(nlohmann::json& out, const NodeReport& value);

/** JSON for a person or a program: indented, ASCII only, ends with a newline; invalid UTF-8 is
 * replaced. */
std::string json_text(const nlohmann::json& value);

// Texts for a person and for grep: a header line, aligned columns, no blank cells ("-" instead);
// control characters, which a remote name may hold, never reach the terminal.
/** Of lines of cells; no header is added. */
std::string render_table(std::vector<std::vector<std::string>> lines);
std::string render_status(const NodeStatus& status);
std::string render_connections(const std::vector<ConnectionRow>& rows);
std::string render_peers(const std::vector<PeerRow>& rows);
std::string render_targets(const std::vector<TargetRow>& rows);
std::string render_drops(const std::vector<DropRow>& rows);
std::string render_attachments(const std::vector<AttachmentRow>& rows);

/** The metrics page, Prometheus text format 0.0.4. */
std::string render_prometheus(const NodeReport& report);
inline constexpr const char* kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

} // namespace api
} // namespace weave
