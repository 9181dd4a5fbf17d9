// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/control.hpp"
#include "wire/datagram.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace weave;
using namespace weave::wire;

namespace {

ClearHeader sample_header() {
    ClearHeader header;
    header.suite = 2;
    header.sender_index = 0x11223340;
    header.secret_id = 0xa1b2c3d4;
    std::fill(header.cluster_id.begin(), header.cluster_id.end(), std::uint8_t{7});
    return header;
}

Bytes sample_init(std::size_t noise) {
    Bytes out = sample_header().encode();
    out.resize(out.size() + noise + 2 * kMacSize, 0xee);
    return out;
}

} // namespace

TEST_CASE("a clear header keeps its layout") {
    const Bytes bytes = sample_header().encode();
    CHECK(to_hex(bytes) == "0101010240332211"
                           "77766d31"
                           "d4c3b2a1"
                           "07070707070707070707070707070707");
    CHECK(ClearHeader::parse(bytes) == sample_header());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_FALSE(ClearHeader::parse(ByteView{bytes}.first(size)));
    }
    Bytes other = bytes;
    other[8] ^= 1;
    CHECK_FALSE(ClearHeader::parse(other));
}

TEST_CASE("an initiation is cut where it should be") {
    const Bytes bytes = sample_init(117);
    const auto view = InitView::parse(bytes);
    REQUIRE(view);
    CHECK(view->prologue.size() == 32);
    CHECK(view->noise.size() == 117);
    CHECK(view->before_mac1.size() == 149);
    CHECK(view->mac1.data() == bytes.data() + 149);
    CHECK(view->before_mac2.size() == 165);
    CHECK(view->mac2.data() + kMacSize == bytes.data() + bytes.size());
}

TEST_CASE("initiations that are too short, too long, of another type or with lane bits are none") {
    CHECK_FALSE(InitView::parse({}));
    CHECK_FALSE(InitView::parse(sample_init(47)));
    CHECK(InitView::parse(sample_init(48)));
    CHECK_FALSE(InitView::parse(sample_init(2000)));
    Bytes bytes = sample_init(100);
    bytes[0] = 2;
    CHECK_FALSE(InitView::parse(bytes));
    bytes[0] = 1;
    bytes[4] |= 1;
    CHECK_FALSE(InitView::parse(bytes));
}

TEST_CASE("a response is cut where it should be") {
    ClearHeader header = sample_header();
    header.type = DatagramType::response;
    Bytes bytes = header.encode();
    bytes.insert(bytes.end(), {0x80, 0, 0, 1});
    bytes.resize(bytes.size() + 57 + kMacSize, 0xcc);
    bytes.resize(bytes.size() + kMacSize);
    const auto view = ResponseView::parse(bytes);
    REQUIRE(view);
    CHECK(view->receiver_index == 0x01000080);
    CHECK(view->noise.size() == 57);
    CHECK(view->before_mac1.size() == bytes.size() - 32);
    for (std::size_t size = 0; size < 116; ++size) {
        CHECK_FALSE(ResponseView::parse(ByteView{bytes}.first(size)));
    }
    bytes.back() = 1; // a response bears no mac2
    CHECK_FALSE(ResponseView::parse(bytes));
}

TEST_CASE("handshake payloads round-trip, and tolerate what later versions append") {
    const InitPayload init{9, 10, 4, 0x80000001};
    Bytes bytes = init.encode();
    CHECK(bytes.size() == 21);
    CHECK(InitPayload::parse(bytes) == init);
    bytes.push_back(1);
    CHECK(InitPayload::parse(bytes) == init);
    const ResponsePayload response{64, 3, 0x40};
    bytes = response.encode();
    CHECK(ResponsePayload::parse(bytes) == response);
    bytes.resize(bytes.size() - 1);
    CHECK_FALSE(ResponsePayload::parse(bytes));
}

TEST_CASE("payloads with no lane or too many are refused") {
    CHECK_FALSE(InitPayload::parse(InitPayload{1, 1, 0, 0}.encode()));
    CHECK_FALSE(InitPayload::parse(InitPayload{1, 1, 65, 0}.encode()));
    CHECK_FALSE(ResponsePayload::parse(ResponsePayload{0, 0, 0}.encode()));
    CHECK_FALSE(ResponsePayload::parse(ResponsePayload{65, 0, 0}.encode()));
}

TEST_CASE("cookie replies and refusals round-trip at exactly their size") {
    CookieReply cookie;
    cookie.receiver_index = 0x40;
    cookie.nonce.fill(1);
    cookie.sealed.fill(2);
    Bytes bytes = cookie.encode();
    CHECK(bytes.size() == CookieReply::kSize);
    CHECK(CookieReply::parse(bytes) == cookie);
    bytes.push_back(0);
    CHECK_FALSE(CookieReply::parse(bytes));

    const Refusal refusal{RefusalCode::unknown_peer, 0x80};
    bytes = refusal.encode();
    CHECK(to_hex(bytes) == "0604000080000000");
    CHECK(Refusal::parse(bytes) == refusal);
    bytes[1] = kLastRefusalCode + 1;
    CHECK_FALSE(Refusal::parse(bytes));
    bytes[1] = 0;
    CHECK_FALSE(Refusal::parse(bytes));
}

TEST_CASE("data datagrams carry session, lane and counter at fixed places") {
    Bytes bytes(kDataOverhead);
    put_data_header(bytes.data(), 0x12345640, 5);
    store_u64(bytes.data() + kDataCounterOffset, 0x1122334455667788);
    CHECK(is_data(bytes));
    CHECK(session_of(data_receiver(bytes)) == 0x12345640);
    CHECK(lane_of(data_receiver(bytes)) == 5);
    CHECK(data_counter(bytes) == 0x1122334455667788);
    CHECK(to_hex(ByteView{bytes}.first(8)) == "0400000045563412");
    CHECK_FALSE(is_data(ByteView{bytes}.first(kDataOverhead - 1)));
    bytes[2] = 1;
    CHECK_FALSE(is_data(bytes));
}

TEST_CASE("relay datagrams wrap another datagram with 46 bytes") {
    const RelayAddress to{1, 2, 3, 4, 5, 6};
    const RelayAddress from{9, 8, 7, 6, 5, 4};
    const Bytes inner(32, 0xab);
    Bytes bytes(kRelayOverhead + inner.size());
    put_relay_header(bytes.data(), 0x40, 1, 8, to, from);
    std::copy(inner.begin(), inner.end(), bytes.begin() + kRelayHeaderSize);
    CHECK(kRelayOverhead == 46);
    CHECK(is_relay(bytes));
    CHECK(relay_ttl(bytes) == 8);
    CHECK(relay_destination(bytes) == to);
    CHECK(relay_source(bytes) == from);
    CHECK(std::ranges::equal(relay_inner(bytes), inner));
    CHECK_FALSE(is_relay(ByteView{bytes}.first(kRelayOverhead)));
}

TEST_CASE("records are walked, and an overrun ends the walk") {
    Bytes plain(kRecordHeaderSize + 3 + kRecordHeaderSize);
    put_record_header(plain.data(), RecordKind::frame, kNeedsChecksum, 3);
    put_record_header(plain.data() + 7, RecordKind::padding, 0, 0);
    RecordWalker walker{plain};
    RecordSpan record;
    REQUIRE(walker.next(record));
    CHECK(record.kind == 1);
    CHECK(record.flags == kNeedsChecksum);
    CHECK(record.body.size() == 3);
    REQUIRE(walker.next(record));
    CHECK(record.kind == 4);
    CHECK(record.body.empty());
    CHECK_FALSE(walker.next(record));
    CHECK_FALSE(walker.malformed());

    store_u16(plain.data() + 9, 1);
    RecordWalker overrun{plain};
    CHECK(overrun.next(record));
    CHECK_FALSE(overrun.next(record));
    CHECK(overrun.malformed());
}

TEST_CASE("unknown datagram types have no type") {
    const Bytes first{1};
    const Bytes last{6};
    CHECK(datagram_type(first) == DatagramType::init);
    CHECK(datagram_type(last) == DatagramType::refusal);
    CHECK_FALSE(datagram_type({}));
    CHECK_FALSE(datagram_type(Bytes{0}));
    CHECK_FALSE(datagram_type(Bytes{7}));
}

TEST_CASE("what TCP links say about themselves round-trips") {
    ControlIdentity own;
    own.sign_public.fill(1);
    own.vouch.fill(2);
    own.boot_epoch = 3;
    own.nonce = 4;
    own.name = "node-1";
    own.features = 5;
    own.udp_port = 6784;
    Bytes bytes = own.encode();
    CHECK(ControlIdentity::parse(bytes) == own);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_FALSE(ControlIdentity::parse(ByteView{bytes}.first(size)));
    }
    bytes.push_back(0);
    CHECK(ControlIdentity::parse(bytes) == own);
    CHECK(parse_control_refusal(encode_control_refusal(RefusalCode::secret)) ==
          RefusalCode::secret);
    CHECK_FALSE(parse_control_refusal(bytes));
}
