// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/link_message.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::wire;

TEST_CASE("a notice keeps its layout") {
    const Bytes message =
        encode_notice(LinkMessageKind::close,
                      {NoticeCode::identity_twice, IpAddress::v4({10, 0, 0, 1}), "copied"});
    CHECK(to_hex(message) == "05"
                             "03"
                             "04"
                             "0a000001000000000000000000000000"
                             "636f70696564");
    CHECK(link_message_kind(message) == LinkMessageKind::close);
    const auto notice = decode_notice(link_message_body(message));
    REQUIRE(notice.has_value());
    CHECK(notice->code == NoticeCode::identity_twice);
    CHECK(notice->address == IpAddress::v4({10, 0, 0, 1}));
    CHECK(notice->text == "copied");
}

TEST_CASE("the farewell of a node that has enough links has a code of its own") {
    const Bytes message =
        encode_notice(LinkMessageKind::close, {NoticeCode::crowded, std::nullopt, "full"});
    CHECK(to_hex(message) == "05"
                             "04"
                             "00"
                             "00000000000000000000000000000000"
                             "66756c6c");
    CHECK(decode_notice(link_message_body(message))->code == NoticeCode::crowded);
}

TEST_CASE("a notice without an address, with one of version 6, with a code of a later version") {
    for (const Notice& notice : {Notice{},
                                 Notice{NoticeCode::duplicate, IpAddress::parse("fd00::1"), "x"},
                                 Notice{static_cast<NoticeCode>(200), std::nullopt, "new"}}) {
        const auto again =
            decode_notice(link_message_body(encode_notice(LinkMessageKind::notice, notice)));
        REQUIRE(again.has_value());
        CHECK(*again == notice);
    }
}

TEST_CASE(
    "a notice that is too short or of another family is none, its text is cut and printable") {
    Bytes body(18, 0);
    CHECK(decode_notice(body).has_value());
    CHECK_FALSE(decode_notice(ByteView{body}.first(17)).has_value());
    body[1] = 5;
    CHECK_FALSE(decode_notice(body).has_value());
    body[1] = 0;
    body.insert(body.end(), {'a', '\n', 0x7f, 0xff});
    CHECK(decode_notice(body)->text == "a???");
    body.resize(1000, 'b');
    CHECK(decode_notice(body)->text.size() == kMaxNoticeText);
    const Notice longer{NoticeCode::unspecified, std::nullopt, std::string(300, 'c')};
    CHECK(encode_notice(LinkMessageKind::notice, longer).size() == 19 + kMaxNoticeText);
}
