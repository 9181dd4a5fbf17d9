// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Messages on a control link, once they are opened.
#include "target.hpp"
#include "wire/link_message.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::wire;

void check_digest(ByteView message, ByteView body) {
    if (is_bucket_digest(body)) {
        if (const auto buckets = decode_bucket_digest(body)) {
            FUZZ_CHECK(same(encode_digest(*buckets), message));
        }
        FUZZ_CHECK(!decode_line_digest(body));
        return;
    }
    if (const auto lines = decode_line_digest(body)) {
        FUZZ_CHECK(lines->lines.size() <= kMaxLinesPerMessage);
        FUZZ_CHECK(same(encode_digest(*lines), message));
        for (const DigestLine& line : lines->lines) {
            static_cast<void>(lines->covers(line.id.node));
        }
    }
    FUZZ_CHECK(!decode_bucket_digest(body));
}

void check_batch(ByteView message, ByteView body) {
    const auto parts = decode_batch(body);
    if (!parts || parts->empty()) {
        return;
    }
    RecordBatch batch;
    for (const ByteView part : *parts) {
        Record record;
        record.raw = copy(part);
        if (!batch.add(record)) {
            FUZZ_CHECK(message.size() > kMaxLinkMessage);
            return;
        }
    }
    FUZZ_CHECK(same(batch.take(), message) && batch.empty());
}

void check_notice(LinkMessageKind kind, ByteView body) {
    const auto notice = decode_notice(body);
    if (!notice) {
        return;
    }
    const std::string& text = notice->text;
    FUZZ_CHECK(text.size() <= kMaxNoticeText);
    FUZZ_CHECK(std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    const auto again = decode_notice(link_message_body(encode_notice(kind, *notice)));
    FUZZ_CHECK(again && *again == *notice);
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    const weave::ByteView message{data, size};
    const auto kind = link_message_kind(message);
    const weave::ByteView body = link_message_body(message);
    FUZZ_CHECK(kind.has_value() == !message.empty());
    if (!kind) {
        return 0;
    }
    switch (*kind) {
    case LinkMessageKind::notice:
    case LinkMessageKind::close:
        check_notice(*kind, body);
        break;
    case LinkMessageKind::digest:
        check_digest(message, body);
        break;
    case LinkMessageKind::records:
        check_batch(message, body);
        break;
    case LinkMessageKind::request:
        if (const auto ids = decode_request(body)) {
            FUZZ_CHECK(ids->size() <= kMaxIdsPerRequest && same(encode_request(*ids), message));
        }
        break;
    case LinkMessageKind::prune:
        FUZZ_CHECK(!body.empty() || same(encode_prune(), message));
        break;
    }
    return 0;
}
