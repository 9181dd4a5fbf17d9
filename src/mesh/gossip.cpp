// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>

namespace weave::mesh {
namespace {

/** Digests go to this many links per round, in turn: each peer hears from many others. */
constexpr unsigned kDigestFanOut = 3;
/** Where records go along a tree, which loses little: to this many. */
constexpr unsigned kPartialFanOut = 1;
/** Of nodes of which so many are known the first link tells all there is; on a later one the
 * difference is looked for a moment later, as most of it comes by itself. */
constexpr std::size_t kFewNodes = 16;
constexpr Duration kDigestDelay = std::chrono::milliseconds(500);
constexpr std::uint64_t kDigestSpreadMs = 1000;

/** Whether it tells of lost edges that were not known. */
bool is_urgent(const wire::RecordPtr& before, const wire::RecordPtr& after) {
    if (!after->topology || after->topology->unreachable.empty()) {
        return false;
    }
    return !before || !before->topology ||
           before->topology->unreachable != after->topology->unreachable;
}

NodeId all_ones() {
    NodeId out;
    out.octets.fill(0xff);
    return out;
}

} // namespace

void Mesh::on_message(LinkId id, ByteView message, TimePoint now) {
    now_ = now;
    const auto found = links_.find(id);
    const auto kind = wire::link_message_kind(message);
    if (found == links_.end() || !kind || message.size() > wire::kMaxLinkMessage) {
        count("mesh_malformed_message");
        return;
    }
    const ByteView body = wire::link_message_body(message);
    switch (*kind) {
    case wire::LinkMessageKind::notice:
    case wire::LinkMessageKind::close:
        return;
    case wire::LinkMessageKind::digest:
        on_digest(id, found->second, body, now);
        return;
    case wire::LinkMessageKind::records:
        on_records(id, found->second, body, now);
        return;
    case wire::LinkMessageKind::request:
        on_request(found->second, body, now);
        return;
    case wire::LinkMessageKind::prune:
        on_prune(found->second, body);
        return;
    }
    count("mesh_unknown_message");
}

void Mesh::on_digest(LinkId id, Link& link, ByteView body, TimePoint now) {
    if (!wire::is_bucket_digest(body)) {
        const auto lines = wire::decode_line_digest(body);
        if (!lines) {
            count("mesh_malformed_message");
            return;
        }
        on_lines(id, link, *lines, now);
        return;
    }
    const auto buckets = wire::decode_bucket_digest(body);
    if (!buckets) {
        count("mesh_malformed_message");
        return;
    }
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < wire::kDigestBuckets; ++i) {
        if (buckets->hashes[i] != store_.digest().hashes[i]) {
            mask |= std::uint64_t{1} << i;
        }
    }
    if (mask != 0 && !link.blocked) {
        send_lines(id, partial_ ? some_buckets(mask) : mask);
    }
}

void Mesh::on_lines(LinkId id, Link& link, const wire::LineDigest& digest, TimePoint now) {
    Wanted wanted;
    for (const wire::DigestLine& line : digest.lines) {
        on_line(id, line, digest.mask == 0, wanted, now);
    }
    if (digest.mask != 0) {
        offer_missing(link, digest, now);
        if (partial_ && !wanted.empty()) {
            // There may be more: only so many lines come at once.
            link.digest_at = std::min(link.digest_at, now + 2 * kDigestDelay);
        }
    }
    send_requests(id, wanted);
}

void Mesh::on_line(
    LinkId id, const wire::DigestLine& line, bool announced, Wanted& wanted, TimePoint now) {
    Link& link = links_.at(id);
    const auto held = store_.find(line.id);
    if (held && held->stamp >= line.stamp) {
        link.lines.erase(line.id);
        if (held->stamp == line.stamp) {
            link.records.erase(line.id);
        } else if (announced) {
            // Overtaken on its way; the newer version is on its way to the peer as well, most
            // likely.
            announce(link, line.id, now);
        } else {
            offer_record(link, line.id, now);
        }
        return;
    }
    if (!store_.is_newer(line.id, line.stamp)) {
        return; // forgotten
    }
    if (!store_.has_room(line.id) ||
        requested_.size() + announced_.size() >= MeshSizes::kMaxRequested) {
        count("mesh_no_room");
        return;
    }
    want(id, line.id, announced, wanted, now);
}

/** Offers what the digest covers and has no line for. */
void Mesh::offer_missing(Link& link, const wire::LineDigest& digest, TimePoint now) {
    std::vector<wire::RecordId> listed;
    listed.reserve(digest.lines.size());
    for (const wire::DigestLine& line : digest.lines) {
        listed.push_back(line.id);
    }
    std::sort(listed.begin(), listed.end());
    for (std::size_t bucket = 0; bucket < wire::kDigestBuckets; ++bucket) {
        if (((digest.mask >> bucket) & 1) == 0) {
            continue;
        }
        for (const wire::RecordPtr& record : store_.buckets()[bucket]) {
            if (digest.covers(record->node) &&
                !std::binary_search(listed.begin(), listed.end(), record->id())) {
                offer_record(link, record->id(), now);
            }
        }
    }
}

void Mesh::on_records(LinkId id, Link& link, ByteView body, TimePoint now) {
    const auto batch = wire::decode_batch(body);
    if (!batch) {
        count("mesh_malformed_message");
        return;
    }
    std::size_t news = 0;
    std::size_t repeats = 0;
    for (const ByteView raw : *batch) {
        const auto record = ports_.decode(raw);
        if (record) {
            const Taken taken = ingest(id, link, *record, now);
            news += taken == Taken::news ? 1U : 0U;
            repeats += taken == Taken::repeat ? 1U : 0U;
        } else {
            count(record.error() == std::errc::message_size ? "mesh_record_too_long"
                                                            : "mesh_malformed_record");
        }
    }
    if (repeats > news) {
        prune(id, link);
    }
}

void Mesh::on_request(Link& link, ByteView body, TimePoint now) {
    const auto ids = wire::decode_request(body);
    if (!ids) {
        count("mesh_malformed_message");
        return;
    }
    link.lazy = false;
    for (const wire::RecordId& id : *ids) {
        if (store_.find(id)) {
            offer_record(link, id, now);
        }
    }
}

Mesh::Taken Mesh::ingest(LinkId id, Link& link, const wire::RecordPtr& record, TimePoint now) {
    if (record->node == self_) {
        requested_.erase(record->id());
        heard_own(*record, now);
        return Taken::neither;
    }
    const auto held = store_.find(record->id());
    const bool same = held && held->stamp == record->stamp;
    if (same) {
        link.records.erase(record->id());
        link.lines.erase(record->id());
    }
    if (!store_.is_newer(record->id(), record->stamp)) {
        count("mesh_record_not_newer");
        // News of lost edges come over all links, and so does what a linked owner says: they say
        // nothing of the tree.
        const bool urgent = record->topology && !record->topology->unreachable.empty();
        const bool near = !partial_ && is_linked(record->node);
        return same && !urgent && !near ? Taken::repeat : Taken::neither;
    }
    if (!ports_.verify(*record)) {
        count("mesh_bad_signature");
        return Taken::neither;
    }
    const bool news = store_record(record, id, link.peer == record->node, now);
    return news ? Taken::news : Taken::neither;
}

bool Mesh::store_record(wire::RecordPtr record,
                        std::optional<LinkId> from,
                        bool from_owner,
                        TimePoint now) {
    requested_.erase(record->id());
    announced_.erase(record->id());
    const auto before = store_.find(record->id());
    switch (store_.put(record, record->node == self_)) {
    case Store::Put::stored:
        break;
    case Store::Put::not_newer:
        count("mesh_record_not_newer");
        return false;
    case Store::Put::too_many_nodes:
        count("mesh_too_many_nodes");
        return false;
    case Store::Put::too_many_records:
        count("mesh_too_many_records");
        return false;
    case Store::Put::too_many_bytes:
        count("mesh_too_many_bytes");
        return false;
    }
    if (store_.tombstone(record->node)) {
        // It came back from the dead: so may we have, in its eyes and its neighbours'.
        store_.lift_tombstone(record->node);
        schedule_reissue(now);
    }
    actions_.emplace_back(RecordChanged{record});
    if (record->kind == wire::kTopologyKind) {
        look_at_topology(record, before);
    } else if (described(record->node) == nullptr) {
        undescribed_.insert(record->node);
        dead_since_.try_emplace(record->node, now_);
    }
    if (partial_) {
        spread_on_tree(*record, from, is_urgent(before, record), now);
    } else {
        spread(*record, from, from_owner, now);
    }
    return true;
}

/** Of the buckets as many as lines_at_once has room for, from any one on. */
std::uint64_t Mesh::some_buckets(std::uint64_t mask) {
    std::uint64_t out = 0;
    std::size_t lines = 0;
    const std::size_t first = random_below(ports_.random, wire::kDigestBuckets);
    for (std::size_t i = 0; i < wire::kDigestBuckets && lines < settings_.lines_at_once; ++i) {
        const std::size_t bucket = (first + i) % wire::kDigestBuckets;
        if (((mask >> bucket) & 1) != 0) {
            out |= std::uint64_t{1} << bucket;
            lines += store_.buckets()[bucket].size();
        }
    }
    return out;
}

void Mesh::send_lines(LinkId id, std::uint64_t mask) {
    wire::LineDigest digest;
    digest.mask = mask;
    for (std::size_t bucket = 0; bucket < wire::kDigestBuckets; ++bucket) {
        if (((mask >> bucket) & 1) == 0) {
            continue;
        }
        for (const wire::RecordPtr& record : store_.buckets()[bucket]) {
            const bool next_node =
                digest.lines.empty() || digest.lines.back().id.node != record->node;
            // A node's records are in one message: there may be as many as it is allowed.
            if (next_node && digest.lines.size() + settings_.limits.records_per_node >
                                 wire::kMaxLinesPerMessage) {
                // The next one starts at this node; what lies between the two has no records.
                digest.to = digest.lines.back().id.node;
                send(id, wire::encode_digest(digest));
                digest.lines.clear();
                digest.from = record->node;
            }
            digest.lines.push_back({record->id(), record->stamp});
        }
    }
    digest.to = all_ones();
    send(id, wire::encode_digest(digest));
}

void Mesh::send_requests(LinkId id, const Wanted& wanted) {
    for (std::size_t at = 0; at < wanted.size(); at += wire::kMaxIdsPerRequest) {
        const std::size_t end = std::min(wanted.size(), at + wire::kMaxIdsPerRequest);
        send(id,
             wire::encode_request({wanted.begin() + static_cast<std::ptrdiff_t>(at),
                                   wanted.begin() + static_cast<std::ptrdiff_t>(end)}));
    }
}

void Mesh::gossip(TimePoint now) {
    next_gossip_ = now + settings_.digest_interval;
    std::erase_if(requested_, [&](const auto& entry) { return entry.second <= now; });
    store_.expire_tombstones(now);
    const std::size_t rounds =
        std::min<std::size_t>(partial_ ? kPartialFanOut : kDigestFanOut, links_.size());
    auto next = links_.upper_bound(last_gossiped_);
    for (std::size_t i = 0; i < rounds; ++i, ++next) {
        if (next == links_.end()) {
            next = links_.begin();
        }
        last_gossiped_ = next->first;
        if (!next->second.blocked) {
            send(next->first, wire::encode_digest(store_.digest()));
        }
    }
}

/** What each of two nodes that have just met lacks. */
void Mesh::compare(LinkId id, Link& link, TimePoint now) {
    const bool first = links_.size() == 1;
    if (!partial_ || first || store_.nodes() < kFewNodes) {
        if (first || self_ < link.peer) {
            send(id, wire::encode_digest(store_.digest()));
        }
    } else if (self_ < link.peer) {
        link.digest_at = now + kDigestDelay +
                         std::chrono::milliseconds(random_below(ports_.random, kDigestSpreadMs));
    }
}

void Mesh::flush(LinkId id, Link& link, TimePoint now) {
    if (link.blocked) {
        return;
    }
    if (now >= link.digest_at) {
        link.digest_at = TimePoint::max();
        send(id, wire::encode_digest(store_.digest()));
    }
    if (now >= link.records_at) {
        flush_records(id, link, now);
    }
    if (now >= link.lines_at) {
        flush_lines(id, link);
    }
}

void Mesh::flush_records(LinkId id, Link& link, TimePoint now) {
    wire::RecordBatch batch;
    std::size_t bytes = 0;
    while (!link.records.empty() && bytes < settings_.flush_bytes) {
        const auto record = store_.find(*link.records.begin());
        link.records.erase(link.records.begin());
        if (!record) {
            continue; // forgotten since
        }
        bytes += record->raw.size();
        if (!batch.add(*record)) {
            send(id, batch.take());
            batch.add(*record);
        }
    }
    if (!batch.empty()) {
        send(id, batch.take());
    }
    link.records_at = link.records.empty() ? TimePoint::max() : now + settings_.flush_interval;
}

void Mesh::flush_lines(LinkId id, Link& link) {
    wire::LineDigest digest;
    for (const wire::RecordId& wanted : link.lines) {
        const auto record = store_.find(wanted);
        if (!record) {
            continue;
        }
        digest.lines.push_back({wanted, record->stamp});
        if (digest.lines.size() == wire::kMaxLinesPerMessage) {
            send(id, wire::encode_digest(digest));
            digest.lines.clear();
        }
    }
    if (!digest.lines.empty()) {
        send(id, wire::encode_digest(digest));
    }
    link.lines.clear();
    link.lines_at = TimePoint::max();
}

} // namespace weave::mesh
