// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/record.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weave::wire {

/** First byte of every sealed message on a control link. */
enum class LinkMessageKind : std::uint8_t {
    notice = 1,  ///< A Notice; the link goes on.
    digest = 2,  ///< BucketDigest or LineDigest.
    records = 3, ///< A batch of signed records.
    request = 4, ///< Record ids the sender wants.
    close = 5,   ///< A Notice why the link ends: the last message.
    prune = 6, ///< Empty: the sender gets by others what the receiver pushes; announce it instead.
};

enum class NoticeCode : std::uint8_t {
    unspecified = 0,
    duplicate = 1,      ///< The nodes have a better link to each other.
    shutting_down = 2,  ///< The node stops.
    identity_twice = 3, ///< Another process uses the receiver's identity; the address is where.
    crowded = 4,        ///< The node has enough links: the peer is welcome elsewhere.
};

/** What one end of a link tells the other one: body of the kinds `notice` and `close`. */
struct Notice {
    /** May be one this version does not know. */
    NoticeCode code = NoticeCode::unspecified;
    std::optional<IpAddress> address;
    /** For people: at most kMaxNoticeText printable characters. */
    std::string text;

    bool operator==(const Notice&) const = default;
};

inline constexpr std::size_t kMaxNoticeText = 200;

/** Greatest link message, kind byte included: leaves room for the seal within a u16 length. */
inline constexpr std::size_t kMaxLinkMessage = 60000;
inline constexpr std::size_t kDigestBuckets = 64;

/** Bucket of a node in digests: the top six bits of its id, so a bucket is a range of ids. */
inline unsigned digest_bucket(const NodeId& node) {
    return node.octets[0] >> 2;
}

/** One hash per bucket over all records of its nodes. */
struct BucketDigest {
    std::array<std::uint64_t, kDigestBuckets> hashes{};
};

struct DigestLine {
    RecordId id;
    Stamp stamp;
};

/**
 * The stamps of records. Complete for the nodes that are in a bucket of `mask` and within
 * [from, to]: a record of such a node without a line is one the sender lacks. With an empty mask
 * the lines are only announcements.
 */
struct LineDigest {
    std::uint64_t mask = 0;
    NodeId from;
    NodeId to;
    std::vector<DigestLine> lines;

    [[nodiscard]] bool covers(const NodeId& node) const {
        return ((mask >> digest_bucket(node)) & 1) != 0 && from <= node && node <= to;
    }
};

inline constexpr std::size_t kDigestLineSize = 34;
inline constexpr std::size_t kMaxLinesPerMessage = (kMaxLinkMessage - 64) / kDigestLineSize;
inline constexpr std::size_t kMaxIdsPerRequest = 3000;

/** The kind of a message; nullopt for an empty one. The value may be one this version does not
 * know. */
std::optional<LinkMessageKind> link_message_kind(ByteView message);
/** What follows the kind byte. */
ByteView link_message_body(ByteView message);

Bytes encode_prune();

/** `kind` is notice or close. A text that is too long is cut. */
Bytes encode_notice(LinkMessageKind kind, const Notice& notice);
/** Of the text the first kMaxNoticeText characters; those that do not print become '?'. */
Result<Notice> decode_notice(ByteView body);

Bytes encode_digest(const BucketDigest& digest);
/** `lines` must be at most kMaxLinesPerMessage. */
Bytes encode_digest(const LineDigest& digest);
/** True when the body of a digest message is a BucketDigest. */
bool is_bucket_digest(ByteView body);
Result<BucketDigest> decode_bucket_digest(ByteView body);
Result<LineDigest> decode_line_digest(ByteView body);

/** `ids` must be at most kMaxIdsPerRequest. */
Bytes encode_request(const std::vector<RecordId>& ids);
Result<std::vector<RecordId>> decode_request(ByteView body);

/** Collects records into messages of at most kMaxLinkMessage bytes. */
class RecordBatch {
  public:
    /** False when the record does not fit any more: take() first. */
    bool add(const Record& record);

    [[nodiscard]] bool empty() const { return out_.empty(); }

    Bytes take();

  private:
    Bytes out_;
};

/** The raw records of a batch, undecoded; views into `body`. Error: bad_message. */
Result<std::vector<ByteView>> decode_batch(ByteView body);

} // namespace weave::wire
