// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/http_request.hpp"

namespace weave::api {

namespace http = boost::beast::http;

namespace {

/** "?a=1&format=json" holds the parameter. */
bool asks_for_json(std::string_view query) {
    while (!query.empty()) {
        const auto end = query.find('&');
        if (query.substr(0, end) == "format=json") {
            return true;
        }
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return false;
}

HttpRequest refuse(unsigned status, std::string body, bool keep_alive = false) {
    HttpRequest out;
    out.refusal.emplace();
    out.refusal->status = status;
    out.refusal->body = std::move(body);
    out.keep_alive = keep_alive;
    return out;
}

} // namespace

HttpRequest judge_request(const HttpParser& parser, const boost::system::error_code& error) {
    const bool malformed =
        error && error.category() == http::make_error_code(http::error::bad_method).category();
    HttpRequest out;
    if ((error && !malformed) || error == http::error::end_of_stream) {
        out.ended = true;
        return out;
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return refuse(431, "The request's header is too long.\n");
    }
    if (malformed) {
        return refuse(400, "This is not a request without a body in HTTP/1.1.\n");
    }
    const auto& request = parser.get();
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        return refuse(405, "Only GET and HEAD are answered here.\n", request.keep_alive());
    }
    const std::string_view target(request.target().data(), request.target().size());
    if (target.empty() || target.front() != '/') {
        return refuse(400, "The target must be a path.\n");
    }
    const auto mark = target.find('?');
    const auto accept = request[http::field::accept];
    out.keep_alive = request.keep_alive();
    out.target = target.substr(0, mark);
    out.wants_json = accept.find("application/json") != decltype(accept)::npos ||
                     (mark != std::string_view::npos && asks_for_json(target.substr(mark + 1)));
    return out;
}

} // namespace weave::api
