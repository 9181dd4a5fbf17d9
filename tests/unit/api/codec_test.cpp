// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/codec.hpp"
#include "api/errors.hpp"
#include "api/status.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::api;
using nlohmann::json;

namespace {

/** Every message in `bytes`, without its length. */
std::vector<json> messages(const std::string& bytes) {
    MessageReader reader;
    reader.append(bytes);
    std::vector<json> out;
    while (auto body = reader.next()) {
        out.push_back(json::parse(*body));
    }
    CHECK_FALSE(reader.partial());
    return out;
}

Reply refusal(std::string_view body) {
    Request request;
    auto reply = decode_request(body, request);
    REQUIRE(reply);
    return *reply;
}

} // namespace

TEST_CASE("a request survives the trip, byte by byte") {
    const std::string bytes = encode_request(7, "connect", {{"peers", {"192.0.2.1"}}});
    MessageReader reader;
    for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
        reader.append(bytes.substr(i, 1));
        REQUIRE_FALSE(reader.next());
        REQUIRE(reader.partial());
    }
    reader.append(bytes.substr(bytes.size() - 1));
    const auto body = reader.next();
    REQUIRE(body);
    Request request;
    CHECK_FALSE(decode_request(*body, request));
    CHECK(request.id == 7);
    CHECK(request.method == "connect");
    CHECK(request.params.at("peers").at(0) == "192.0.2.1");
}

TEST_CASE("bad requests are refused with a code that says why") {
    CHECK(refusal("").code == "bad_request");
    CHECK(refusal("{").code == "bad_request");
    CHECK(refusal("[]").code == "bad_request");
    CHECK(refusal(std::string(100'000, '[')).code == "bad_request");
    CHECK(refusal(R"({"v":1,"method":"status"})").code == "bad_request");
    CHECK(refusal(R"({"v":1,"id":-1,"method":"status"})").code == "bad_request");
    CHECK(refusal(R"({"v":1,"id":1})").code == "bad_request");
    CHECK(refusal(R"({"v":1,"id":1,"method":"status","params":[]})").code == "bad_request");
    CHECK(refusal(R"({"v":2,"id":1,"method":"status"})").code == "wrong_version");
    CHECK(refusal(R"({"v":"1","id":1,"method":"status"})").code == "wrong_version");
}

TEST_CASE("a length above the limit is seen at once") {
    MessageReader reader;
    reader.append(std::string("\x01\x00\x10\x00", 4));
    CHECK(reader.too_large());
    CHECK_FALSE(reader.next());
    MessageReader just_fits;
    just_fits.append(std::string("\x00\x00\x10\x00", 4));
    CHECK_FALSE(just_fits.too_large());
}

TEST_CASE("replies: result, error, stream") {
    CHECK(messages(encode_reply(3, Reply::ok({{"a", 1}}))) ==
          std::vector<json>{{{"id", 3}, {"result", {{"a", 1}}}}});
    CHECK(messages(encode_reply(3, Reply::error("invalid", "no"))) ==
          std::vector<json>{{{"id", 3}, {"error", {{"code", "invalid"}, {"message", "no"}}}}});
    const auto stream = messages(encode_reply(3, Reply::rows({1, 2})));
    REQUIRE(stream.size() == 3);
    CHECK(stream[1].at("item") == 2);
    CHECK(stream[2].at("end") == true);
    CHECK(messages(encode_reply(3, Reply::rows({}))).size() == 1);
}

TEST_CASE("an answer above the limit becomes an error, a long text a stream") {
    const std::string big(kMaxMessage + 1, 'x');
    CHECK(messages(encode_reply(1, Reply::ok(big))).at(0).at("error").at("code") == "too_large");
    CHECK(messages(encode_reply(1, Reply::rows({1, big}))).at(1).at("error").at("code") ==
          "too_large");
    std::string joined;
    for (const json& message : messages(encode_reply(1, Reply::text(big)))) {
        joined += message.contains("item") ? message["item"]["text"].get<std::string>() : "";
    }
    CHECK(joined == big);
}

TEST_CASE("a text that is not UTF-8 does not break an answer") {
    CHECK(messages(encode_reply(1, Reply::ok("a\xff"))).at(0).at("result") == "a\xef\xbf\xbd");
    CHECK(json_text("a\xff") == "\"a\\ufffd\"\n");
}

TEST_CASE("rows: what is missing keeps its default, what is new is skipped, what is wrong throws") {
    const auto row = json::parse(R"({"name":"a","mtu":1500,"later":true})").get<PeerRow>();
    CHECK(row.name == "a");
    CHECK(row.mtu == 1500);
    CHECK(row.key_age_seconds == -1);
    CHECK_THROWS_AS((void)json::parse(R"({"name":1})").get<PeerRow>(), json::exception);
    CHECK_THROWS_AS((void)json::parse("[]").get<PeerRow>(), json::exception);
}

TEST_CASE("error names") {
    CHECK(errc_of("not_found") == Errc::not_found);
    CHECK(errc_of("of_tomorrow") == Errc::internal);
    CHECK(std::error_code(Errc::busy).category() == error_category());
    CHECK(make_error_code(Errc::system).message() == "a system call failed");
}
