// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The control protocol: framing, requests, replies, and the rows that a client reads and shows. The
// first byte picks the part.
#include "api/codec.hpp"
#include "api/status.hpp"
#include "target.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::api;
using nlohmann::json;

std::string_view text_of(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/** Writing JSON is recursive, reading is not: the server never writes what a client nested. */
bool is_shallow(std::string_view body) {
    constexpr std::ptrdiff_t kDepth = 64;
    return std::count(body.begin(), body.end(), '[') + std::count(body.begin(), body.end(), '{') <
           kDepth;
}

/** All messages of a whole stream, each of them JSON below the limit. */
std::vector<json> messages_of(std::string_view stream) {
    MessageReader reader;
    reader.append(stream);
    std::vector<json> out;
    while (const auto body = reader.next()) {
        out.push_back(json::parse(*body, nullptr, false));
        FUZZ_CHECK(out.back().is_object() && body->size() <= kMaxMessage);
    }
    FUZZ_CHECK(!reader.partial() && !reader.too_large());
    return out;
}

void check_request(std::string_view body) {
    Request request;
    const auto refusal = decode_request(body, request);
    if (refusal) {
        FUZZ_CHECK(!refusal->code.empty() && !refusal->message.empty());
        const auto replies = messages_of(encode_reply(request.id, *refusal));
        FUZZ_CHECK(replies.size() == 1 && replies[0].at("id") == request.id);
        return;
    }
    FUZZ_CHECK(request.params.is_object() && !request.fd);
    const auto reply = messages_of(encode_reply(request.id, Reply::ok({{"m", request.method}})));
    FUZZ_CHECK(reply.size() == 1 && reply[0].at("result").at("m") == request.method);
    if (!is_shallow(body)) {
        return;
    }
    const auto sent = encode_request(request.id, request.method, request.params);
    MessageReader reader;
    reader.append(sent);
    const auto again = reader.next();
    Request decoded;
    FUZZ_CHECK(again && !decode_request(*again, decoded));
    FUZZ_CHECK(decoded.id == request.id && decoded.method == request.method);
    FUZZ_CHECK(decoded.params == request.params);
}

/** However the bytes arrive, the messages are the same. */
void check_stream(Input& input) {
    const std::size_t piece = std::max<std::size_t>(input.u8(), 1);
    const std::string_view stream = text_of(input.rest());
    MessageReader whole;
    whole.append(stream);
    MessageReader parts;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        parts.append(stream.substr(at, piece));
        while (const auto body = parts.next()) {
            FUZZ_CHECK(whole.next() == body);
            check_request(*body);
        }
        if (parts.too_large()) {
            break; // the connection is closed here
        }
    }
    FUZZ_CHECK(!whole.next() && whole.too_large() == parts.too_large());
}

/** Every line of a text for a person is free of control characters, and there is one per row. */
void check_text(const std::string& text, std::size_t lines) {
    FUZZ_CHECK(std::count(text.begin(), text.end(), '\n') == static_cast<std::ptrdiff_t>(lines));
    FUZZ_CHECK(std::all_of(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\n';
    }));
}

/** `in` as a row and back; nullopt when a field has the wrong type. */
template <class Row> std::optional<Row> read_row(const json& in) {
    Row row;
    try {
        in.get_to(row);
    } catch (const json::exception&) {
        return std::nullopt;
    }
    const json once = row;
    FUZZ_CHECK(json(once.get<Row>()) == once);
    return row;
}

template <class Row>
void check_rows(const json& in,
                std::vector<Row>& rows,
                std::string (*render)(const std::vector<Row>&)) {
    if (auto row = read_row<Row>(in)) {
        rows.push_back(std::move(*row));
        check_text(render(rows), rows.size() + 1);
    }
}

void check_report(std::string_view body) {
    const json in = json::parse(body, nullptr, false);
    if (!is_shallow(body)) {
        return;
    }
    NodeReport report;
    if (auto status = read_row<NodeStatus>(in)) {
        const std::size_t before = render_status(NodeStatus{}).size();
        FUZZ_CHECK(before > 0);
        report.status = std::move(*status);
        const std::string text = render_status(report.status);
        const auto used = std::ranges::count(report.status.ciphers, "used", &CipherRow::state);
        check_text(text,
                   16 + static_cast<std::size_t>(used) + report.status.fast_paths.size() +
                       report.status.warnings.size());
    }
    check_rows(in, report.connections, render_connections);
    check_rows(in, report.peers, render_peers);
    check_rows(in, report.targets, render_targets);
    check_rows(in, report.drops, render_drops);
    check_rows(in, report.attachments, render_attachments);
    const std::string page = render_prometheus(report);
    check_text(page, static_cast<std::size_t>(std::count(page.begin(), page.end(), '\n')));
    FUZZ_CHECK(json(page).dump() != "null"); // throws where it is not UTF-8
    FUZZ_CHECK(json::parse(json_text(report)) == json(report));
}

/** Whatever a handler answers, the client gets JSON. */
void check_reply(Input& input) {
    const std::uint64_t id = input.u64();
    Bytes ascii = copy(input.part());
    for (std::uint8_t& byte : ascii) {
        byte &= 0x7f;
    }
    const auto stream = messages_of(encode_reply(id, Reply::text(text_of(ascii))));
    std::string joined;
    for (const json& item : stream) {
        FUZZ_CHECK(item.at("id") == id);
        joined += item.contains("item") ? item.at("item").at("text").get<std::string>() : "";
    }
    FUZZ_CHECK(!stream.empty() && stream.back().at("end") == true && joined == text_of(ascii));
    std::string code(text_of(input.short_part()));
    const auto error = messages_of(encode_reply(
        id, Reply::error(code.empty() ? "x" : code, std::string(text_of(input.rest())))));
    FUZZ_CHECK(error.size() == 1 && error[0].at("error").at("message").is_string());
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    Input input({data, size});
    const std::uint8_t which = input.u8();
    switch (which % 4) {
    case 0:
        check_stream(input);
        break;
    case 1:
        check_request(text_of(input.rest()));
        break;
    case 2:
        check_report(text_of(input.rest()));
        break;
    default:
        check_reply(input);
    }
    return 0;
}
