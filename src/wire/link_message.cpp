// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/link_message.hpp"

#include "wire/bytes_io.hpp"

#include <algorithm>
#include <string_view>

namespace weave::wire {
namespace {

constexpr std::uint8_t kBucketForm = 0;
constexpr std::uint8_t kLineForm = 1;

std::error_code malformed() {
    return std::make_error_code(std::errc::bad_message);
}

ByteWriter begin(LinkMessageKind kind) {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(kind));
    return out;
}

RecordId read_id(ByteReader& in) {
    RecordId id;
    id.node.octets = in.array<16>();
    id.kind = in.u16();
    return id;
}

} // namespace

std::optional<LinkMessageKind> link_message_kind(ByteView message) {
    if (message.empty()) {
        return std::nullopt;
    }
    return static_cast<LinkMessageKind>(message[0]);
}

ByteView link_message_body(ByteView message) {
    return message.empty() ? message : message.subspan(1);
}

Bytes encode_prune() {
    return begin(LinkMessageKind::prune).take();
}

Bytes encode_notice(LinkMessageKind kind, const Notice& notice) {
    std::array<std::uint8_t, 16> address{};
    std::uint8_t family = 0;
    if (notice.address) {
        family = notice.address->is_v4() ? 4 : 6;
        const ByteView bytes = notice.address->bytes();
        std::copy(bytes.begin(), bytes.end(), address.begin());
    }
    const std::string_view text = notice.text;
    return begin(kind)
        .u8(static_cast<std::uint8_t>(notice.code))
        .u8(family)
        .bytes(address)
        .bytes(as_bytes(text.substr(0, kMaxNoticeText)))
        .take();
}

Result<Notice> decode_notice(ByteView body) {
    ByteReader in(body);
    Notice out;
    out.code = static_cast<NoticeCode>(in.u8());
    const std::uint8_t family = in.u8();
    const auto address = in.array<16>();
    if (!in.ok() || (family != 0 && family != 4 && family != 6)) {
        return malformed();
    }
    if (family == 4) {
        out.address = IpAddress::v4({address[0], address[1], address[2], address[3]});
    } else if (family == 6) {
        out.address = IpAddress::v6(address);
    }
    while (!in.at_end() && out.text.size() < kMaxNoticeText) {
        const std::uint8_t c = in.u8();
        out.text.push_back(c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?');
    }
    return out;
}

Bytes encode_digest(const BucketDigest& digest) {
    ByteWriter out = begin(LinkMessageKind::digest);
    out.u8(kBucketForm);
    for (const std::uint64_t hash : digest.hashes) {
        out.u64(hash);
    }
    return out.take();
}

Bytes encode_digest(const LineDigest& digest) {
    ByteWriter out = begin(LinkMessageKind::digest);
    out.u8(kLineForm).u64(digest.mask).bytes(digest.from.octets).bytes(digest.to.octets);
    for (const DigestLine& line : digest.lines) {
        out.bytes(line.id.node.octets).u16(line.id.kind);
        out.u64(line.stamp.epoch).u64(line.stamp.version);
    }
    return out.take();
}

bool is_bucket_digest(ByteView body) {
    return !body.empty() && body[0] == kBucketForm;
}

Result<BucketDigest> decode_bucket_digest(ByteView body) {
    ByteReader in(body);
    BucketDigest out;
    const std::uint8_t form = in.u8();
    for (std::uint64_t& hash : out.hashes) {
        hash = in.u64();
    }
    if (!in.ok() || !in.at_end() || form != kBucketForm) {
        return malformed();
    }
    return out;
}

Result<LineDigest> decode_line_digest(ByteView body) {
    ByteReader in(body);
    LineDigest out;
    const std::uint8_t form = in.u8();
    out.mask = in.u64();
    out.from.octets = in.array<16>();
    out.to.octets = in.array<16>();
    while (in.ok() && !in.at_end()) {
        DigestLine line;
        line.id = read_id(in);
        line.stamp.epoch = in.u64();
        line.stamp.version = in.u64();
        out.lines.push_back(line);
    }
    if (!in.ok() || form != kLineForm || out.lines.size() > kMaxLinesPerMessage) {
        return malformed();
    }
    return out;
}

Bytes encode_request(const std::vector<RecordId>& ids) {
    ByteWriter out = begin(LinkMessageKind::request);
    for (const RecordId& id : ids) {
        out.bytes(id.node.octets).u16(id.kind);
    }
    return out.take();
}

Result<std::vector<RecordId>> decode_request(ByteView body) {
    ByteReader in(body);
    std::vector<RecordId> out;
    while (in.ok() && !in.at_end()) {
        out.push_back(read_id(in));
    }
    if (!in.ok() || out.size() > kMaxIdsPerRequest) {
        return malformed();
    }
    return out;
}

bool RecordBatch::add(const Record& record) {
    const std::size_t used = std::max<std::size_t>(out_.size(), 1);
    if (used + 2 + record.raw.size() > kMaxLinkMessage) {
        return false;
    }
    if (out_.empty()) {
        out_.push_back(static_cast<std::uint8_t>(LinkMessageKind::records));
    }
    const auto size = static_cast<std::uint16_t>(record.raw.size());
    out_.push_back(static_cast<std::uint8_t>(size & 0xff));
    out_.push_back(static_cast<std::uint8_t>(size >> 8));
    out_.insert(out_.end(), record.raw.begin(), record.raw.end());
    return true;
}

Bytes RecordBatch::take() {
    Bytes out;
    out.swap(out_);
    return out;
}

Result<std::vector<ByteView>> decode_batch(ByteView body) {
    ByteReader in(body);
    std::vector<ByteView> out;
    while (in.ok() && !in.at_end()) {
        out.push_back(in.take(in.u16()));
    }
    if (!in.ok()) {
        return malformed();
    }
    return out;
}

} // namespace weave::wire
