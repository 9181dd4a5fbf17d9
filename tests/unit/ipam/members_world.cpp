// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "members_world.hpp"

#include <utility>

namespace weave::ipam::test {

MembersWorld::MembersWorld(std::size_t nodes, std::uint64_t seed, Duration lease)
    : random_(seed) {
    for (std::size_t i = 0; i < nodes; ++i) {
        Node& node = nodes_.emplace_back();
        node.settings.self = id(i);
        node.settings.range = range();
        node.settings.lease = lease;
        node.store.resize(nodes);
        node.connected_at.resize(nodes);
        node.view.resize(nodes);
        node.notice_at.resize(nodes);
        node.synced_at.resize(nodes);
    }
}

void MembersWorld::start(std::size_t number, bool rebooted) {
    Node& node = nodes_[number];
    node.up = true;
    node.frozen = false;
    node.members = std::make_unique<Members>(node.settings, now_);
    node.ring = Ring(kPlaces);
    node.given.clear();
    if (node.saved) {
        MembersState state = node.saved->members;
        if (rebooted) {
            state.lease_until.reset();
        }
        node.members->restore(state);
        node.ring = node.saved->ring;
        node.given = node.saved->given;
    }
    node.store.assign(nodes_.size(), {});
    node.view.assign(nodes_.size(), false);
    node.synced_at.assign(nodes_.size(), TimePoint{});
    node.ring_changed = true;
}

void MembersWorld::found(std::size_t number) {
    Node& node = nodes_[number];
    node.ring.merge({0, kPlaces}, {node.settings.self, {0, 1}});
    node.ring_changed = true;
    node.members->found(random_(), now_);
}

void MembersWorld::give(std::size_t from, std::size_t to) {
    Node& node = nodes_[from];
    if (from == to || !node.up || node.frozen || !node.members->may_allocate(now_) ||
        !node.view[to] || !node.store[to][0].allocation) {
        return;
    }
    auto owned = node.ring.owned(node.settings.self, {0, kPlaces});
    std::erase_if(owned, [&](const auto& one) { return one.second.era < node.members->fence(); });
    if (owned.empty()) {
        return;
    }
    auto [run, stamp] = owned[below(owned.size())];
    const Index first = run.first + static_cast<Index>(below(run.size()));
    run = {first, first + 1 + static_cast<Index>(below(run.end - first))};
    const Claim claim{id(to), {std::max(stamp.era, node.members->gift_era()), stamp.version + 1}};
    node.ring.merge(run, claim);
    node.given.emplace_back(run, claim);
    node.ring_changed = true;
}

void MembersWorld::step() {
    now_ += kStep;
    std::vector<std::size_t> order(nodes_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::ranges::shuffle(order, random_);
    for (const std::size_t i : order) {
        Node& node = nodes_[i];
        if (!node.up || node.frozen) {
            continue;
        }
        look_and_hear(i);
        node.members->tick(now_, node.ring);
        take_over(node);
        flush(node, i);
    }
}

bool MembersWorld::believes(const Node& node, Index place) const {
    const Claim& claim = node.ring.at(place);
    return node.up && node.members->may_allocate(now_) && claim.owner == node.settings.self &&
           claim.stamp.era >= node.members->fence();
}

int MembersWorld::believed_twice() const {
    std::array<int, kPlaces> hands{};
    for (const Node& node : nodes_) {
        for (Index place = 0; place < kPlaces; ++place) {
            hands.at(place) += believes(node, place) ? 1 : 0;
        }
    }
    return static_cast<int>(std::ranges::count_if(hands, [](int count) { return count > 1; }));
}

int MembersWorld::usable() const {
    int out = 0;
    for (Index place = 0; place < kPlaces; ++place) {
        out += std::ranges::any_of(nodes_, [&](const Node& node) { return believes(node, place); })
                   ? 1
                   : 0;
    }
    return out;
}

std::string MembersWorld::text() const {
    std::string out;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = nodes_[i];
        out += "\nnode " + std::to_string(i) + (node.up ? "" : " down");
        if (!node.members) {
            continue;
        }
        const MembersReport report = node.members->report(now_);
        out += " follows " + std::to_string(report.seq) + ", " + std::to_string(report.seen) + "/" +
               std::to_string(report.members) + (report.member ? "" : " not a member") +
               ", pending " + std::to_string(report.pending) + ", lease " +
               std::to_string(report.lease.left / std::chrono::seconds(1)) + " s, state " +
               std::to_string(static_cast<int>(report.lease.state)) + ", fence " +
               std::to_string(node.members->fence()) + ", lists";
        for (const auto& accepted : node.members->state().accepted) {
            out += " " + std::to_string(accepted.set.seq) + (accepted.attested ? "+" : "") + "[";
            for (const NodeId& member : accepted.set.members) {
                out += std::to_string(member.octets[7]) + " ";
            }
            out += "-";
            for (const auto& removal : accepted.set.removed) {
                out += " " + std::to_string(removal.node.octets[7]) + "<" +
                       std::to_string(removal.era);
            }
            out += " after";
            for (const auto& ref : accepted.set.after) {
                out += " " + std::to_string(ref.seq);
            }
            out += "]";
        }
        out += ", waits for";
        for (const NodeId& waits : report.waits_for) {
            out += " " + std::to_string(waits.octets[7]);
        }
        out += "; ring";
        for (const auto& [run, claim] : node.ring.pieces()) {
            out += " " + std::to_string(run.first) + ":" + std::to_string(claim.owner.octets[7]) +
                   "@" + std::to_string(claim.stamp.era) + "." +
                   std::to_string(claim.stamp.version);
        }
    }
    return out;
}

bool MembersWorld::agreed() const {
    std::size_t up = 0;
    for (const Node& node : nodes_) {
        up += node.up ? std::size_t{1} : 0;
    }
    std::set<std::uint32_t> seqs;
    for (const Node& node : nodes_) {
        if (!node.up) {
            continue;
        }
        const MembersReport report = node.members->report(now_);
        if (report.members != up || !report.member || report.pending > 0 ||
            !node.members->may_allocate(now_)) {
            return false;
        }
        seqs.insert(report.seq);
    }
    return seqs.size() == 1;
}

void MembersWorld::look_and_hear(std::size_t number) {
    Node& node = nodes_[number];
    std::vector<std::size_t> order;
    for (std::size_t j = 0; j < nodes_.size(); ++j) {
        if (j != number) {
            order.push_back(j);
        }
    }
    std::ranges::shuffle(order, random_);
    for (const std::size_t j : order) {
        if (connected(number, j)) {
            node.notice_at[j] = TimePoint::max();
            if (!node.view[j]) {
                node.view[j] = true;
                node.members->on_reachable(id(j), true, now_);
            }
            if (now_ - node.synced_at[j] >= std::chrono::seconds(4) || below(2) == 0) {
                node.synced_at[j] = now_;
                hear(number, j);
            }
        } else if (node.view[j]) {
            if (node.notice_at[j] == TimePoint::max()) {
                node.notice_at[j] = now_ + std::chrono::seconds(below(std::size_t{10} - 2));
            }
            if (now_ >= node.notice_at[j]) {
                node.view[j] = false;
                node.members->on_reachable(id(j), false, now_);
            }
        }
    }
}

void MembersWorld::hear(std::size_t number, std::size_t from) {
    Node& node = nodes_[number];
    std::vector<std::pair<std::size_t, std::size_t>> news;
    for (std::size_t owner = 0; owner < nodes_.size(); ++owner) {
        for (std::size_t kind = 0; kind < 2; ++kind) {
            if (owner != number &&
                nodes_[from].store[owner][kind].version > node.store[owner][kind].version) {
                news.emplace_back(owner, kind);
            }
        }
    }
    if (news.size() > 1) {
        std::ranges::shuffle(news, random_);
    }
    for (const auto& [owner, kind] : news) {
        const Node::Stored& stored = nodes_[from].store[owner][kind];
        node.store[owner][kind] = stored;
        if (kind == 1) {
            node.members->on_sets(id(owner), *stored.sets);
            continue;
        }
        node.members->on_allocation(id(owner), *stored.allocation);
        merge(node, owner);
    }
}

void MembersWorld::merge(Node& node, std::size_t owner) {
    for (const auto& claim : node.store[owner][0].allocation->claims) {
        if (!claim.to || !node.members->refuses_gift(id(owner), claim.era)) {
            node.ring_changed |=
                node.ring.merge({claim.first, claim.end},
                                {claim.to.value_or(id(owner)), {claim.era, claim.version}});
        }
    }
}

void MembersWorld::take_over(Node& node) {
    const Reclaim reclaim = node.members->reclaims(now_);
    for (const auto& [run, claim] : node.ring.pieces()) {
        for (const wire::Removal& removal : reclaim.from) {
            if (claim.owner != removal.node || claim.stamp.era >= removal.era ||
                claim.stamp == Stamp{}) {
                continue;
            }
            node.ring.merge(run, {node.settings.self, {reclaim.era, 1}});
            node.ring_changed = true;
            ++takeovers;
            heirs[reclaim.era].insert(static_cast<std::size_t>(&node - nodes_.data()));
            const MembersReport report = node.members->report(now_);
            minority_takeovers += 2 * report.seen <= report.members ? std::size_t{1} : 0;
        }
    }
}

void MembersWorld::flush(Node& node, std::size_t number) {
    const Members::Changed changed = node.members->changed();
    for (std::size_t owner = 0; owner < nodes_.size(); ++owner) {
        if (changed.gifts && owner != number && node.store[owner][0].allocation) {
            merge(node, owner);
        }
    }
    const bool ring = std::exchange(node.ring_changed, false);
    if (changed.state || ring) {
        node.saved = Node::Saved{node.members->state(), node.ring, node.given};
        if (crash_after_save > 0 && below(crash_after_save) == 0) {
            node.up = false;
            return;
        }
    }
    if (changed.record || ring) {
        publish(node, number);
    }
    if (changed.sets) {
        auto sets = std::make_shared<const wire::MemberSets>(node.members->sets());
        note_published(wire::encode_member_sets(*sets).size());
        node.store[number][1] = {++version_, nullptr, std::move(sets)};
    }
}

void MembersWorld::publish(Node& node, std::size_t number) {
    wire::Allocation said;
    said.range = range();
    for (const auto& [run, stamp] : node.ring.owned(node.settings.self, {0, kPlaces})) {
        said.claims.push_back({run.first, run.end, stamp.era, stamp.version, std::nullopt});
    }
    std::erase_if(node.given, [&](const auto& gift) {
        const auto pieces = node.ring.pieces_in(gift.first);
        return std::ranges::none_of(pieces,
                                    [&](const auto& piece) { return piece.second == gift.second; });
    });
    for (const auto& [run, claim] : node.given) {
        said.claims.push_back(
            {run.first, run.end, claim.stamp.era, claim.stamp.version, claim.owner});
    }
    said.membership = node.members->membership();
    note_published(wire::encode_allocation(said).size());
    node.store[number][0] = {
        ++version_, std::make_shared<const wire::Allocation>(std::move(said)), nullptr};
}

void MembersWorld::note_published(std::size_t tlvs) {
    ++published_records;
    published_bytes += tlvs + wire::kSignedHeaderSize + wire::kSignatureSize;
}

} // namespace weave::ipam::test
