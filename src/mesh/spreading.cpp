// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Which links a record goes over, as a whole or as a line that can be asked about.
#include "mesh/mesh.hpp"

#include <algorithm>

namespace weave::mesh {
namespace {

/** How long one request stands before another link is asked. */
constexpr Duration kRequestPatience = std::chrono::seconds(2);
/**
 * Whoever got a record from its owner announces it this much later, plus up to kAnnounceSpread: in
 * a full mesh everybody has it from the owner by then and most announcements are never sent.
 */
constexpr Duration kAnnounceDelay = std::chrono::milliseconds(200);
constexpr std::uint64_t kAnnounceSpreadMs = 300;
/** Along a tree it has to go from hop to hop. */
constexpr Duration kTreeDelay = std::chrono::milliseconds(400);
/** So many random links a node has, and the mesh is one by them. */
constexpr std::size_t kFirstBranches = 6;

} // namespace

void Mesh::set_partial(bool partial, TimePoint now) {
    now_ = now;
    if (std::exchange(partial_, partial) == partial) {
        return;
    }
    // Where all were linked with all there are far more links than a tree has branches.
    const std::size_t branches = partial ? kFirstBranches : links_.size();
    std::size_t left = links_.size();
    std::size_t wanted = std::min(branches, left);
    for (auto& [id, link] : links_) {
        link.lazy = random_below(ports_.random, left--) >= wanted;
        wanted -= link.lazy ? 0U : 1U;
    }
}

void Mesh::spread(const wire::Record& record,
                  std::optional<LinkId> from,
                  bool from_owner,
                  TimePoint now) {
    // Where the owner has links of its own it tells most nodes itself: announcing is enough. What
    // comes from afar goes along the tree, or a mesh of all links would push it everywhere at once.
    const bool owner_near = from_owner || is_linked(record.node);
    for (auto& [id, link] : links_) {
        if (id == from || link.peer == record.node) {
            continue;
        }
        if (!from || (!owner_near && !link.lazy)) {
            offer_record(link, record.id(), now);
        } else {
            announce(link, record.id(), now);
        }
    }
}

/** Over the links of the tree, and announced on the others. News of edges do not wait for anything:
 * who is dead is to be known everywhere within moments. */
void Mesh::spread_on_tree(const wire::Record& record,
                          std::optional<LinkId> from,
                          bool urgent,
                          TimePoint now) {
    for (auto& [id, link] : links_) {
        if (id == from || link.peer == record.node) {
            continue;
        }
        if (urgent) {
            offer_record(link, record.id(), now);
        } else if (!link.lazy) {
            offer_record(link, record.id(), now + settings_.gather);
        } else {
            announce(link, record.id(), now);
        }
    }
}

/** Says, in a while, that we have it; the peer asks if it does not. */
void Mesh::announce(Link& link, const wire::RecordId& id, TimePoint now) {
    if (!link.records.contains(id)) {
        const auto spread =
            std::chrono::milliseconds(random_below(ports_.random, kAnnounceSpreadMs));
        link.lines.insert(id);
        link.lines_at =
            std::min(link.lines_at, now + (partial_ ? kTreeDelay : kAnnounceDelay) + spread);
    }
}

void Mesh::offer_record(Link& link, const wire::RecordId& id, TimePoint at) {
    link.lines.erase(id);
    link.records.insert(id);
    link.records_at = std::min(link.records_at, at);
}

/** Asks for the record; for one that was announced only when the tree has not brought it soon. */
void Mesh::want(
    LinkId id, const wire::RecordId& record, bool announced, Wanted& out, TimePoint now) {
    if (announced && partial_) {
        const auto [entry, first] =
            announced_.try_emplace(record, Announced{id, now + settings_.ask_after});
        if (first) {
            to_ask_.push_back(record);
        } else if (!links_.contains(entry->second.link)) {
            entry->second.link = id;
        }
        return;
    }
    auto& until = requested_.try_emplace(record, TimePoint::min()).first->second;
    if (until <= now) {
        until = now + kRequestPatience;
        out.push_back(record);
    }
}

/** The tree has a gap: a link on which something is asked for becomes one of its branches. */
void Mesh::ask_for_announced(TimePoint now) {
    std::map<LinkId, Wanted> wanted;
    while (!to_ask_.empty()) {
        const auto found = announced_.find(to_ask_.front());
        if (found != announced_.end() && found->second.ask_at > now) {
            break;
        }
        if (found != announced_.end()) {
            const auto link = links_.find(found->second.link);
            if (link != links_.end() && !link->second.blocked) {
                link->second.lazy = false;
                want(link->first, found->first, false, wanted[link->first], now);
            }
            announced_.erase(found);
        }
        to_ask_.pop_front();
    }
    for (const auto& [link, ids] : wanted) {
        send_requests(link, ids);
    }
}

void Mesh::on_prune(Link& link, ByteView body) {
    if (!body.empty()) {
        count("mesh_malformed_message");
        return;
    }
    link.lazy = true;
}

/** What the peer pushes comes by others before: neither pushes to the other from now on. */
void Mesh::prune(LinkId id, Link& link) {
    if (!link.lazy && !link.blocked) {
        link.lazy = true;
        send(id, wire::encode_prune());
    }
}

} // namespace weave::mesh
