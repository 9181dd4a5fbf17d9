// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/codec.hpp"

#include <weave/version.hpp>

#include <algorithm>
#include <string>

#include <unistd.h>

namespace weave::api {

using nlohmann::json;

namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kTextChunk = 256U * 1024;

std::size_t announced_length(std::string_view buffer) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
        length |= std::size_t{static_cast<unsigned char>(buffer[i])} << (8 * i);
    }
    return length;
}

json error_json(std::uint64_t id, const std::string& code, const std::string& message) {
    return {{"id", id}, {"error", {{"code", code}, {"message", message}}}};
}

} // namespace

void Descriptor::reset(int fd) noexcept {
    if (fd_ >= 0) {
        ::close(fd_);
    }
    fd_ = fd;
}

Reply Reply::ok(json result) {
    Reply reply;
    reply.result = std::move(result);
    return reply;
}

Reply Reply::rows(std::vector<json> items) {
    Reply reply;
    reply.stream = true;
    reply.items = std::move(items);
    return reply;
}

Reply Reply::text(std::string_view text) {
    Reply reply;
    reply.stream = true;
    for (std::size_t at = 0; at < text.size(); at += kTextChunk) {
        reply.items.push_back({{"text", std::string(text.substr(at, kTextChunk))}});
    }
    return reply;
}

Reply Reply::error(std::string code, std::string message) {
    Reply reply;
    reply.code = std::move(code);
    reply.message = std::move(message);
    return reply;
}

Reply Reply::deferred(std::function<void(Send)> later) {
    Reply reply;
    reply.later = std::move(later);
    return reply;
}

std::string encode_message(const json& message) {
    const std::string body = message.dump(-1, ' ', false, json::error_handler_t::replace);
    std::string out;
    out.reserve(kLengthBytes + body.size());
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
        out.push_back(static_cast<char>((body.size() >> (8 * i)) & 0xff));
    }
    return out += body;
}

std::string encode_request(std::uint64_t id, std::string_view method, const json& params) {
    return encode_message({{"v", kApiVersion}, {"id", id}, {"method", method}, {"params", params}});
}

std::string encode_reply(std::uint64_t id, const Reply& reply) {
    const auto too_large = [&] {
        return encode_message(
            error_json(id, "too_large", "the answer is above 1 MiB: ask for less"));
    };
    const auto fits = [](const std::string& message) {
        return message.size() <= kMaxMessage + kLengthBytes;
    };
    if (!reply.code.empty()) {
        std::string message = encode_message(error_json(id, reply.code, reply.message));
        return fits(message) ? message : too_large();
    }
    if (!reply.stream) {
        std::string message = encode_message({{"id", id}, {"result", reply.result}});
        return fits(message) ? message : too_large();
    }
    std::string out;
    for (const json& item : reply.items) {
        const std::string message = encode_message({{"id", id}, {"item", item}});
        if (!fits(message)) {
            return out + too_large();
        }
        out += message;
    }
    return out + encode_message({{"id", id}, {"end", true}});
}

bool MessageReader::too_large() const {
    return buffer_.size() >= kLengthBytes && announced_length(buffer_) > kMaxMessage;
}

std::optional<std::string> MessageReader::next() {
    if (buffer_.size() < kLengthBytes || too_large()) {
        return std::nullopt;
    }
    const std::size_t length = announced_length(buffer_);
    if (buffer_.size() - kLengthBytes < length) {
        return std::nullopt;
    }
    std::string body = buffer_.substr(kLengthBytes, length);
    buffer_.erase(0, kLengthBytes + length);
    return body;
}

std::optional<Reply> decode_request(std::string_view body, Request& out) {
    json message = json::parse(body, nullptr, /*allow_exceptions=*/false);
    if (!message.is_object()) {
        return Reply::error("bad_request", "the request is not a JSON object");
    }
    const auto id = message.find("id");
    if (id == message.end() || !id->is_number_unsigned()) {
        return Reply::error("bad_request",
                            "the request has no \"id\", a number that is not negative");
    }
    out.id = id->get<std::uint64_t>();
    const auto version = message.find("v");
    if (version == message.end() || *version != kApiVersion) {
        return Reply::error(
            "wrong_version",
            "this daemon speaks version " + std::to_string(kApiVersion) +
                " of the control protocol: use the weavectl that was installed with it");
    }
    const auto method = message.find("method");
    if (method == message.end() || !method->is_string()) {
        return Reply::error("bad_request", "the request has no \"method\", a text");
    }
    out.method = method->get<std::string>();
    if (const auto params = message.find("params"); params != message.end()) {
        if (!params->is_object()) {
            return Reply::error("bad_request", "\"params\" is not a JSON object");
        }
        out.params = std::move(*params);
    }
    return std::nullopt;
}

} // namespace weave::api
