// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/mesh.hpp"

#include <algorithm>
#include <limits>

namespace weave::mesh {
namespace {

/** Two machines with one identity would raise each other for ever: the pause doubles up to this.
 * For so long at most the survivor is not heard when the other one is gone. */
constexpr Duration kMaxRaisePause = std::chrono::seconds(8);
/** Without being outbid for this long, the next time is an earlier life again and no second
 * machine. */
constexpr Duration kOutbidAgain = std::chrono::minutes(1);
constexpr Duration kMinRaisePause = std::chrono::milliseconds(100);
constexpr Duration kReissuePause = std::chrono::seconds(10);
/** A peer we could not reach for this long may have been forgotten by others, and we by them. */
constexpr Duration kLongApart = std::chrono::minutes(1);

} // namespace

Mesh::Mesh(const wire::RecordKey& own_key,
           std::uint64_t boot_epoch,
           Ports ports,
           TimePoint now,
           MeshSettings settings)
    : key_(own_key)
    , ports_(std::move(ports))
    , self_(ports_.identify(own_key))
    , epoch_(boot_epoch)
    , settings_(settings)
    , now_(now)
    , store_(settings.limits)
    , claim_name_at_(now + settings.claim_name_late)
    , last_reissue_(now)
    , next_gossip_(now + settings.digest_interval)
    , next_forget_(now + settings.least_grace) {}

void Mesh::on_link_up(LinkId link, const NodeId& peer, TimePoint now) {
    now_ = now;
    if (links_.empty()) {
        claim_name_at_ = std::min(claim_name_at_, now + settings_.claim_name_after);
    }
    links_[link] = Link{.peer = peer, .records = {}, .lines = {}};
    note_link(peer);
    const auto dead = dead_since_.find(peer);
    if (store_.tombstone(peer) || (dead != dead_since_.end() && now - dead->second >= kLongApart)) {
        // Others on the peer's side may have forgotten us: only a newer record gets past that.
        store_.lift_tombstone(peer);
        schedule_reissue(now);
    }
    compare(link, links_.at(link), now);
}

void Mesh::on_link_down(LinkId link) {
    const auto found = links_.find(link);
    if (found != links_.end()) {
        const NodeId peer = found->second.peer;
        links_.erase(found);
        note_link(peer);
    }
}

void Mesh::set_link_blocked(LinkId link, bool blocked) {
    const auto found = links_.find(link);
    if (found != links_.end()) {
        found->second.blocked = blocked;
    }
}

void Mesh::set_own_topology(const wire::Topology& topology, TimePoint now) {
    now_ = now;
    auto neighbours =
        own_topology_ ? std::exchange(own_topology_->neighbours, {}) : topology.neighbours;
    own_topology_ = topology;
    own_topology_->neighbours = std::move(neighbours);
    refresh_own_topology(now);
}

bool Mesh::set_own(std::uint16_t kind, Bytes tlvs, TimePoint now) {
    now_ = now;
    if (tlvs.size() > wire::kMaxTlvBytes || !wire::split_tlvs(tlvs)) {
        return false;
    }
    const auto found = own_.find(kind);
    if (found != own_.end() && found->second.tlvs == tlvs) {
        return true;
    }
    if (found == own_.end() && own_.size() >= settings_.limits.records_per_node) {
        return false;
    }
    Own& own = own_[kind];
    own.tlvs = std::move(tlvs);
    own.dirty = true;
    schedule_publish(now);
    return true;
}

TimePoint Mesh::published_by(std::uint16_t kind) const {
    const auto found = own_.find(kind);
    return found == own_.end()   ? TimePoint::min()
           : found->second.dirty ? due(kind, found->second)
                                 : found->second.published;
}

void Mesh::mark_unreachable(const NodeId& node, bool unreachable, TimePoint now) {
    now_ = now;
    if (!unreachable) {
        if (unreachable_.erase(node) > 0) {
            refresh_own_topology(now);
        }
        return;
    }
    const auto found = unreachable_.find(node);
    if (found != unreachable_.end()) {
        found->second = TimePoint::max();
        return;
    }
    if (node == self_ || unreachable_.size() >= wire::kMaxUnreachable) {
        count("mesh_unreachable_list_full");
        return;
    }
    unreachable_.emplace(node, TimePoint::max());
    refresh_own_topology(now);
}

void Mesh::set_neighbours(const std::optional<std::set<NodeId>>& neighbours, TimePoint now) {
    now_ = now;
    if (!own_topology_) {
        return;
    }
    std::optional<std::vector<NodeId>> named;
    if (neighbours) {
        named.emplace(neighbours->begin(), neighbours->end());
    }
    if (own_topology_->neighbours == named) {
        return;
    }
    const auto before = std::exchange(own_topology_->neighbours, std::move(named));
    note_watched(before);
    refresh_own_topology(now);
}

void Mesh::refresh_own_topology(TimePoint now) {
    if (!own_topology_) {
        return;
    }
    own_topology_->flags &= ~wire::Topology::kHoldsName;
    own_topology_->flags |= holds_name_ ? wire::Topology::kHoldsName : 0;
    own_topology_->unreachable.clear();
    for (const auto& [node, until] : unreachable_) {
        own_topology_->unreachable.push_back(node);
    }
    if (!set_own(wire::kTopologyKind, wire::encode_topology(*own_topology_), now)) {
        count("mesh_own_record_too_long");
    }
}

/** When it may be published at the earliest. */
TimePoint Mesh::due(std::uint16_t kind, const Own& own) const {
    if (own.published == TimePoint::min()) {
        return own.published;
    }
    if (kind == wire::kAddressesKind) {
        return own.published + settings_.addresses_interval;
    }
    const std::size_t cost = (own.tlvs.size() + settings_.message_cost) * links_.size();
    const std::chrono::duration<double> sending{static_cast<double>(cost) /
                                                static_cast<double>(settings_.publish_rate)};
    return own.published +
           std::max(settings_.publish_interval, std::chrono::duration_cast<Duration>(sending));
}

void Mesh::schedule_publish(TimePoint now) {
    for (const auto& [kind, own] : own_) {
        if (own.dirty) {
            publish_at_ = std::min(publish_at_, std::max(now, due(kind, own)));
        }
    }
}

void Mesh::publish(TimePoint now) {
    publish_at_ = TimePoint::max();
    for (auto& [kind, own] : own_) {
        if (!own.dirty || due(kind, own) > now) {
            continue;
        }
        own.dirty = false;
        own.published = now;
        auto record =
            wire::sign_record(self_, key_, {epoch_, ++version_}, kind, own.tlvs, ports_.sign);
        if (!record) {
            count("mesh_own_record_too_long");
            continue;
        }
        store_record(std::make_shared<wire::Record>(std::move(*record)), std::nullopt, true, now);
    }
    schedule_publish(now);
}

void Mesh::schedule_reissue(TimePoint now) {
    reissue_at_ = std::min(reissue_at_, std::max(now, last_reissue_ + kReissuePause));
}

void Mesh::reissue(TimePoint now) {
    reissue_at_ = TimePoint::max();
    last_reissue_ = now;
    for (auto& [kind, own] : own_) {
        own.dirty = true;
    }
    schedule_publish(now);
}

/** A record under our own id came back to us; decides whether somebody has one above ours. */
void Mesh::heard_own(const wire::Record& record, TimePoint now) {
    const auto ours = store_.find(record.id());
    const bool above = record.stamp.epoch > epoch_ || (ours && record.stamp > ours->stamp) ||
                       (ours && record.stamp == ours->stamp && record.raw != ours->raw) ||
                       (!ours && record.stamp.epoch == epoch_);
    if (!above && (ours || own_.contains(record.kind))) {
        return; // an earlier life of ours, already superseded
    }
    if (!ports_.verify(record)) {
        count("mesh_bad_signature");
        return;
    }
    if (!own_.contains(record.kind)) {
        // An earlier life published a kind we do not: only we can take it back.
        set_own(record.kind, {}, now);
    }
    if (above) {
        suspect_copy(record, now);
        raise_epoch(record.stamp.epoch, now);
    }
}

/** An earlier life can be above us once, when our disk lost its epoch; who outbids us again lives.
 */
void Mesh::suspect_copy(const wire::Record& record, TimePoint now) {
    if (record.kind != wire::kTopologyKind) {
        return; // an earlier life may have left each of its kinds with another epoch
    }
    const bool again = outbid_at_ != TimePoint::min() && now - outbid_at_ < kOutbidAgain;
    outbid_at_ = now;
    if (again) {
        count("mesh_own_id_elsewhere");
        actions_.emplace_back(IdentityElsewhere{record.topology ? record.topology->endpoints
                                                                : std::vector<Endpoint>{}});
    }
}

void Mesh::raise_epoch(std::uint64_t above, TimePoint now) {
    if (now < next_raise_ || above >= std::numeric_limits<std::uint64_t>::max() - 1) {
        return;
    }
    const bool quiet = next_raise_ == TimePoint::min() || now - next_raise_ > kOutbidAgain;
    raise_pause_ = quiet ? kMinRaisePause : std::min(raise_pause_ * 2, kMaxRaisePause);
    next_raise_ = now + raise_pause_;
    epoch_ = std::max(epoch_, above) + 1;
    version_ = 0;
    actions_.emplace_back(EpochRaised{epoch_});
    reissue(now);
}

void Mesh::take_over(std::uint64_t version,
                     const std::vector<wire::RecordPtr>& records,
                     TimePoint now) {
    now_ = now;
    version_ = version;
    for (const wire::RecordPtr& record : records) {
        if (record->node == self_) {
            const ByteView tlvs = record->tlvs();
            own_[record->kind] = {Bytes(tlvs.begin(), tlvs.end()), false, now};
        }
        store_record(record, std::nullopt, false, now);
    }
    const auto own = store_.find({self_, wire::kTopologyKind});
    if (own && own->topology) {
        holds_name_ = (own->topology->flags & wire::Topology::kHoldsName) != 0;
        for (const NodeId& node : own->topology->unreachable) {
            unreachable_.emplace(node, TimePoint::max());
        }
    }
}

void Mesh::recall(const std::vector<wire::RecordPtr>& records, TimePoint now) {
    now_ = now;
    for (const wire::RecordPtr& record : records) {
        if (record->node != self_) {
            store_record(record, std::nullopt, false, now);
        }
    }
}

void Mesh::tick(TimePoint now) {
    now_ = now;
    refresh_view();
    claim_name(now);
    if (now >= reissue_at_) {
        reissue(now);
    }
    if (now >= publish_at_) {
        publish(now);
    }
    if (now >= next_gossip_) {
        gossip(now);
    }
    if (now >= next_forget_) {
        forget_dead(now);
    }
    refresh_view();
    ask_for_announced(now);
    for (auto& [id, link] : links_) {
        flush(id, link, now);
    }
}

TimePoint Mesh::next_deadline() const {
    TimePoint next = std::min({publish_at_, reissue_at_, next_gossip_, next_forget_});
    if (!to_ask_.empty()) {
        const auto first = announced_.find(to_ask_.front());
        next = std::min(next, first == announced_.end() ? now_ : first->second.ask_at);
    }
    if (routes_dirty_) {
        next = std::min(next, next_routes_);
    }
    if (!holds_name_) {
        next = std::min(next, claim_name_at_);
    }
    for (const auto& [id, link] : links_) {
        if (!link.blocked) {
            next = std::min({next, link.records_at, link.lines_at, link.digest_at});
        }
    }
    return next;
}

std::vector<MeshAction> Mesh::take_actions() {
    queued_sends_ = 0;
    std::vector<MeshAction> out;
    out.swap(actions_);
    return out;
}

void Mesh::send(LinkId link, Bytes message) {
    if (queued_sends_ >= MeshSizes::kMaxSends) {
        count("mesh_send_queue_full");
        return;
    }
    ++queued_sends_;
    actions_.emplace_back(Send{link, std::move(message)});
}

std::vector<std::pair<LinkId, NodeId>> Mesh::links() const {
    std::vector<std::pair<LinkId, NodeId>> out;
    for (const auto& [id, link] : links_) {
        out.emplace_back(id, link.peer);
    }
    return out;
}

std::size_t Mesh::waiting() const {
    std::size_t out = 0;
    for (const auto& [id, link] : links_) {
        out = std::max(out, link.records.size() + link.lines.size());
    }
    return out;
}

MeshSizes Mesh::sizes() const {
    MeshSizes out;
    out.links = links_.size();
    out.waiting = waiting();
    out.requested = requested_.size() + announced_.size();
    out.sends = queued_sends_;
    out.dead = dead_since_.size();
    out.unreachable = unreachable_.size();
    out.tombstones = store_.tombstones();
    return out;
}

} // namespace weave::mesh
