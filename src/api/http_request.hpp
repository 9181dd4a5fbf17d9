// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/http.hpp"

#include <boost/beast/http.hpp>

#include <optional>
#include <string>

namespace weave::api {

using HttpParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

/** What a connection has to do once the reading of a request has ended. */
struct HttpRequest {
    bool ended = false;               // nobody is there to answer: close
    std::optional<HttpReply> refusal; // to be sent instead of asking the handler
    bool keep_alive = false;
    std::string target; // the path without its query
    bool wants_json = false;
};

/** Judges what `parser` has read; `error` is how the reading ended. No I/O; thread-safe. */
HttpRequest judge_request(const HttpParser& parser, const boost::system::error_code& error);

} // namespace weave::api
