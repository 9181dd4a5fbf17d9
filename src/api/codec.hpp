// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/descriptor.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The control protocol: u32 length, little-endian, then that many bytes of JSON.
// Request {"v":1,"id":n,"method":"...","params":{}}, with at most one descriptor by SCM_RIGHTS.
// Reply {"id":n,"result":{}} or {"id":n,"error":{"code":"...","message":"..."}}; a stream is
// {"id":n,"item":{}} any number of times and then {"id":n,"end":true}.

namespace weave::api {

inline constexpr std::size_t kMaxMessage = 1U << 20;

/** A request as a handler sees it. */
struct Request {
    std::uint64_t id = 0;
    std::string method;
    nlohmann::json params = nlohmann::json::object();
    Descriptor
        fd; // what came with the request; closed after the call unless the handler moves it away
};

/** What a handler answers. Make it with one of the functions. */
struct Reply {
    static Reply ok(nlohmann::json result = nlohmann::json::object());
    /** A stream: as many items as one likes, each below the limit of one message. */
    static Reply rows(std::vector<nlohmann::json> items);

    template <class T> static Reply rows_of(const std::vector<T>& values) {
        return rows(std::vector<nlohmann::json>(values.begin(), values.end()));
    }

    /** A long text as a stream of {"text":"..."}; the text must be ASCII. */
    static Reply text(std::string_view text);
    /** `code` is a name of Errc; `message` is one sentence, what happened and how to mend it. */
    static Reply error(std::string code, std::string message);
    /** What sends the reply, called once; of no effect when the client is gone by then. */
    using Send = std::function<void(Reply)>;
    /** Not yet: `later` is called before the handler's return is over, and keeps what it is given.
     */
    static Reply deferred(std::function<void(Send)> later);

    bool stream = false;
    nlohmann::json result;
    std::vector<nlohmann::json> items;
    std::string code; // not empty: an error
    std::string message;
    /** Send it this much later, after `finish`; what that throws is the reply then. */
    std::chrono::milliseconds after{0};
    std::function<void()> finish;
    std::function<void(Send)> later;
};

/** The bytes of one message: length and JSON. Invalid UTF-8 in a text is replaced. */
std::string encode_message(const nlohmann::json& message);
std::string encode_request(std::uint64_t id, std::string_view method, const nlohmann::json& params);
/** All messages of a reply, one after the other; one that is too large becomes an error. */
std::string encode_reply(std::uint64_t id, const Reply& reply);

/** Cuts a byte stream into messages. Holds at most one message and what came with it. */
class MessageReader {
  public:
    void append(std::string_view bytes) { buffer_.append(bytes); }

    /** The next whole message; nullopt when more bytes are needed or too_large(). */
    std::optional<std::string> next();
    /** The announced length is above kMaxMessage: the connection has to close. */
    [[nodiscard]] bool too_large() const;

    /** Some bytes of an unfinished message are here. */
    [[nodiscard]] bool partial() const { return !buffer_.empty(); }

  private:
    std::string buffer_;
};

/** The request in `body`, or the reply that refuses it. `id` is set as far as it could be read. */
std::optional<Reply> decode_request(std::string_view body, Request& out);

} // namespace weave::api
