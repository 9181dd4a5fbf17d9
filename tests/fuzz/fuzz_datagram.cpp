// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Every outer datagram type, and the records of a data datagram's plaintext.
#include "target.hpp"
#include "wire/datagram.hpp"
#include "wire/packet.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::wire;

void check_clear(ByteView datagram) {
    if (const auto header = ClearHeader::parse(datagram)) {
        FUZZ_CHECK(same(header->encode(), datagram.first(ClearHeader::kSize)));
    }
}

void check_init(ByteView datagram) {
    const auto init = InitView::parse(datagram);
    if (!init) {
        return;
    }
    Bytes joined = copy(init->prologue);
    append(joined, init->noise);
    FUZZ_CHECK(same(joined, init->before_mac1));
    append(joined, init->mac1);
    FUZZ_CHECK(same(joined, init->before_mac2));
    append(joined, init->mac2);
    FUZZ_CHECK(same(joined, datagram));
    FUZZ_CHECK(lane_of(init->header.sender_index) == 0);
    FUZZ_CHECK(!ResponseView::parse(datagram));
}

void check_response(ByteView datagram) {
    const auto response = ResponseView::parse(datagram);
    if (!response) {
        return;
    }
    Bytes joined = response->header.encode();
    joined.resize(joined.size() + 4);
    store_u32(joined.data() + ClearHeader::kSize, response->receiver_index);
    append(joined, response->noise);
    FUZZ_CHECK(same(joined, response->before_mac1));
    append(joined, response->mac1);
    FUZZ_CHECK(starts_with(datagram, joined));
    FUZZ_CHECK(datagram.size() == joined.size() + kMacSize);
    FUZZ_CHECK(lane_of(response->header.sender_index) == 0);
}

void check_small(ByteView datagram) {
    if (const auto cookie = CookieReply::parse(datagram)) {
        FUZZ_CHECK(same(cookie->encode(), datagram));
    }
    if (const auto refusal = Refusal::parse(datagram)) {
        FUZZ_CHECK(same(refusal->encode(), datagram));
    }
}

void check_records(ByteView plaintext) {
    Bytes bytes = copy(plaintext);
    Bytes joined;
    RecordWalker walker{bytes};
    RecordSpan record;
    while (walker.next(record)) {
        std::array<std::uint8_t, kRecordHeaderSize> header{};
        put_record_header(header.data(),
                          static_cast<RecordKind>(record.kind),
                          record.flags,
                          static_cast<std::uint16_t>(record.body.size()));
        append(joined, header);
        append(joined, record.body);
    }
    FUZZ_CHECK(starts_with(plaintext, joined));
    FUZZ_CHECK(walker.malformed() == (joined.size() != plaintext.size()));
}

void check_data(ByteView datagram) {
    if (!is_data(datagram)) {
        return;
    }
    const std::uint32_t receiver = data_receiver(datagram);
    std::array<std::uint8_t, kDataHeaderSize> header{};
    put_data_header(header.data(), session_of(receiver), lane_of(receiver));
    header[1] = datagram[1]; // flags: none is defined, all are let through
    store_u64(header.data() + kDataCounterOffset, data_counter(datagram));
    FUZZ_CHECK(starts_with(datagram, header));
    check_records(datagram.subspan(kDataHeaderSize, datagram.size() - kDataOverhead));
}

/** What is inside a relay datagram. */
ByteView check_relay(ByteView datagram) {
    if (!is_relay(datagram)) {
        return {};
    }
    const std::uint32_t receiver = data_receiver(datagram);
    std::array<std::uint8_t, kRelayHeaderSize> header{};
    put_relay_header(header.data(),
                     session_of(receiver),
                     lane_of(receiver),
                     relay_ttl(datagram),
                     relay_destination(datagram),
                     relay_source(datagram));
    store_u64(header.data() + kDataCounterOffset, data_counter(datagram));
    FUZZ_CHECK(starts_with(datagram, header));
    const ByteView inner = relay_inner(datagram);
    FUZZ_CHECK(!inner.empty() && inner.size() + kRelayOverhead == datagram.size());
    return inner;
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    for (weave::ByteView datagram{data, size}; !datagram.empty();) {
        const auto type = weave::wire::datagram_type(datagram);
        FUZZ_CHECK(!type || static_cast<std::uint8_t>(*type) == datagram[0]);
        check_clear(datagram);
        check_init(datagram);
        check_response(datagram);
        check_small(datagram);
        check_data(datagram);
        datagram = check_relay(datagram);
    }
    return 0;
}
