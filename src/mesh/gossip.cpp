// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>

namespace weave::mesh {
namespace {

/** Digests go to this many links per round, in turn: each peer hears from many others. */
constexpr unsigned kDigestFanOut = 3;
/** How long one request stands before another link is asked. */
constexpr Duration kRequestPatience = std::chrono::seconds(2);
/**
 * Whoever got a record from its owner announces it this much later, plus up to kAnnounceSpread: in
 * a full mesh everybody has it from the owner by then and most announcements are never sent.
 */
constexpr Duration kAnnounceDelay = std::chrono::milliseconds(200);
constexpr std::uint64_t kAnnounceSpreadMs = 300;

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
        send_lines(id, mask);
    }
}

void Mesh::on_lines(LinkId id, Link& link, const wire::LineDigest& digest, TimePoint now) {
    Wanted wanted;
    for (const wire::DigestLine& line : digest.lines) {
        on_line(link, line, digest.mask == 0, wanted, now);
    }
    if (digest.mask != 0) {
        offer_missing(link, digest, now);
    }
    send_requests(id, wanted);
}

void Mesh::on_line(
    Link& link, const wire::DigestLine& line, bool announced, Wanted& wanted, TimePoint now) {
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
    if (!store_.has_room(line.id) || requested_.size() >= MeshSizes::kMaxRequested) {
        count("mesh_no_room");
        return;
    }
    auto& until = requested_.try_emplace(line.id, TimePoint::min()).first->second;
    if (until <= now) {
        until = now + kRequestPatience;
        wanted.push_back(line.id);
    }
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
    for (const ByteView raw : *batch) {
        const auto record = ports_.decode(raw);
        if (record) {
            ingest(id, link, *record, now);
        } else {
            count(record.error() == std::errc::message_size ? "mesh_record_too_long"
                                                            : "mesh_malformed_record");
        }
    }
}

void Mesh::on_request(Link& link, ByteView body, TimePoint now) {
    const auto ids = wire::decode_request(body);
    if (!ids) {
        count("mesh_malformed_message");
        return;
    }
    for (const wire::RecordId& id : *ids) {
        if (store_.find(id)) {
            offer_record(link, id, now);
        }
    }
}

void Mesh::ingest(LinkId id, Link& link, const wire::RecordPtr& record, TimePoint now) {
    if (record->node == self_) {
        requested_.erase(record->id());
        heard_own(*record, now);
        return;
    }
    const auto held = store_.find(record->id());
    if (held && held->stamp == record->stamp) {
        link.records.erase(record->id());
        link.lines.erase(record->id());
    }
    if (!store_.is_newer(record->id(), record->stamp)) {
        count("mesh_record_not_newer");
        return;
    }
    if (!ports_.verify(*record)) {
        count("mesh_bad_signature");
        return;
    }
    store_record(record, id, link.peer == record->node, now);
}

void Mesh::store_record(wire::RecordPtr record,
                        std::optional<LinkId> from,
                        bool from_owner,
                        TimePoint now) {
    requested_.erase(record->id());
    const auto before = store_.find(record->id());
    switch (store_.put(record, record->node == self_)) {
    case Store::Put::stored:
        break;
    case Store::Put::not_newer:
        count("mesh_record_not_newer");
        return;
    case Store::Put::too_many_nodes:
        count("mesh_too_many_nodes");
        return;
    case Store::Put::too_many_records:
        count("mesh_too_many_records");
        return;
    case Store::Put::too_many_bytes:
        count("mesh_too_many_bytes");
        return;
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
    spread(*record, from, from_owner, now);
}

void Mesh::spread(const wire::Record& record,
                  std::optional<LinkId> from,
                  bool from_owner,
                  TimePoint now) {
    // Where the owner has links of its own it tells most nodes itself: announcing is enough.
    const bool owner_near =
        from_owner || std::any_of(links_.begin(), links_.end(), [&](const auto& entry) {
            return entry.second.peer == record.node;
        });
    const bool at_once = !from || !owner_near;
    for (auto& [id, link] : links_) {
        if (id == from || link.peer == record.node) {
            continue;
        }
        if (at_once) {
            offer_record(link, record.id(), now);
        } else {
            announce(link, record.id(), now);
        }
    }
}

/** Says, in a while, that we have it; the peer asks if it does not. */
void Mesh::announce(Link& link, const wire::RecordId& id, TimePoint now) {
    if (!link.records.contains(id)) {
        const auto spread = std::chrono::milliseconds(random_number(kAnnounceSpreadMs));
        link.lines.insert(id);
        link.lines_at = std::min(link.lines_at, now + kAnnounceDelay + spread);
    }
}

void Mesh::offer_record(Link& link, const wire::RecordId& id, TimePoint at) {
    link.lines.erase(id);
    link.records.insert(id);
    link.records_at = std::min(link.records_at, at);
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
    const std::size_t rounds = std::min<std::size_t>(kDigestFanOut, links_.size());
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

void Mesh::flush(LinkId id, Link& link, TimePoint now) {
    if (link.blocked) {
        return;
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
