// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "mesh/active_view.hpp"

#include <algorithm>
#include <utility>

namespace weave::mesh {
namespace {

/** Nodes looked at for one to pick: enough to find one where nearly all are linked or avoided. */
constexpr unsigned kTries = 32;

std::uint64_t folded(const NodeId& node) {
    std::uint64_t out[2] = {0, 0};
    for (std::size_t i = 0; i < node.octets.size(); ++i) {
        out[i / 8] = (out[i / 8] << 8) | node.octets[i];
    }
    return out[0] ^ out[1];
}

/** In [0, 1), the same at both ends. */
double pair_hash(const NodeId& a, const NodeId& b) {
    std::uint64_t hash = folded(a) ^ folded(b);
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
    hash ^= hash >> 31;
    return static_cast<double>(hash >> 11) / 9007199254740992.0;
}

} // namespace

ActiveView::ActiveView(const NodeId& self, Random random, ActiveViewSettings settings)
    : self_(self)
    , random_(std::move(random))
    , settings_(settings)
    , pause_(settings.first_pause) {}

void ActiveView::set_directory(Directory directory) {
    directory_ = std::move(directory);
}

std::size_t ActiveView::size() const {
    return directory_.size ? directory_.size() : 0;
}

std::size_t ActiveView::most() const {
    return std::max(settings_.least, std::min(settings_.most, settings_.max_links));
}

/** How large a full mesh may be, and how large one that becomes full again: a mesh at the limit
 * does not open and close its links with each node that comes and goes. */
std::pair<std::size_t, std::size_t> ActiveView::limits() const {
    std::size_t full = settings_.full_mesh;
    if (settings_.max_links < full) {
        full = settings_.max_links + 1; // with this node itself
    }
    return {full, full * 7 / 8};
}

bool ActiveView::outgrown() const {
    const auto [full, full_again] = limits();
    return size() > (partial_ ? full_again : full);
}

bool ActiveView::visiting(const NodeId& node) const {
    return visit_ && visit_->node == node;
}

bool ActiveView::named(const NodeId& node) const {
    return named_ && named_->contains(node);
}

bool ActiveView::wants(const NodeId& node) const {
    return !partial_ || picks_.contains(node) || visiting(node) || links_.contains(node);
}

std::vector<NodeId> ActiveView::missing() const {
    std::vector<NodeId> out(picks_.begin(), picks_.end());
    if (visit_ && !links_.contains(visit_->node)) {
        out.push_back(visit_->node);
    }
    return out;
}

bool ActiveView::failing(const NodeId& node) const {
    const auto found = avoided_.find(node);
    return found != avoided_.end() && found->second.failed;
}

void ActiveView::on_linked(const NodeId& node, TimePoint now) {
    const bool picked = picks_.erase(node) > 0;
    links_.try_emplace(node, Link{now, picked});
    avoided_.erase(node);
    std::erase_if(lost_, [&](const Lost& lost) { return lost.node == node; });
    if (!picked) {
        hurry(now); // who comes can be reached, perhaps, and others with it
    }
    if (visiting(node)) {
        visit_->ends = now + settings_.visit_for;
    }
}

void ActiveView::on_unlinked(const NodeId& node, TimePoint now) {
    const auto found = links_.find(node);
    if (found == links_.end()) {
        return;
    }
    const bool stood = now - found->second.since >= settings_.young / 2;
    links_.erase(found);
    if (named_) {
        named_->erase(node);
    }
    if (visiting(node)) {
        visit_.reset();
    }
    if (stood) {
        hurry(now);
    } else {
        avoid(node, true, now); // it takes links, and drops them at once
    }
}

void ActiveView::on_lost(const NodeId& node, TimePoint now) {
    const auto found = links_.find(node);
    const bool stood = found != links_.end() && now - found->second.since >= settings_.young;
    const bool remembered = partial_ && stood && !visiting(node) && lost_.size() < settings_.most;
    on_unlinked(node, now);
    if (remembered) {
        lost_.push_back({node, settings_.revisits});
        next_visit_ = std::min(next_visit_, now + jittered(random_, settings_.revisit_every));
    }
}

/** The next nodes are picked at once. */
void ActiveView::hurry(TimePoint now) {
    pause_ = settings_.first_pause;
    next_pick_ = std::min(next_pick_, now);
}

void ActiveView::on_crowded(const NodeId& node, TimePoint now) {
    // The mesh counted more nodes a while ago: between the two limits all are to be of one mind.
    if (!partial_ && size() > limits().second) {
        become_partial(now);
    }
    const auto found = links_.find(node);
    const bool agreed = found != links_.end() && found->second.leaving;
    on_unlinked(node, now);
    if (!agreed) {
        avoid(node, false, now);
    }
}

void ActiveView::on_failed(const NodeId& node, TimePoint now) {
    picks_.erase(node);
    if (visiting(node)) {
        visit_.reset();
    }
    avoid(node, true, now);
}

void ActiveView::on_gone(const NodeId& node) {
    picks_.erase(node);
    avoided_.erase(node);
    names_us_.erase(node);
    if (visiting(node) && !links_.contains(node)) {
        visit_.reset();
    }
}

void ActiveView::on_names_us(const NodeId& node, bool names) {
    if (names) {
        names_us_.insert(node);
    } else {
        names_us_.erase(node);
    }
}

void ActiveView::avoid(const NodeId& node, bool failed, TimePoint now) {
    if (!partial_) {
        return;
    }
    std::erase_if(avoided_,
                  [&](const auto& it) { return now - it.second.since >= settings_.avoid_for; });
    if (!avoided_.contains(node) && avoided_.size() >= settings_.max_avoided) {
        avoided_.erase(
            std::min_element(avoided_.begin(), avoided_.end(), [](const auto& a, const auto& b) {
                return a.second.since < b.second.since;
            }));
    }
    avoided_[node] = {now, failed};
}

void ActiveView::tick(TimePoint now) {
    now_ = now;
    surplus_.clear();
    if (outgrown() != partial_) {
        partial_ ? become_full() : become_partial(now);
    }
    if (partial_) {
        end_visit(now);
        trim(now);
        fill(now);
        begin_visit(now);
    }
    name(now);
}

void ActiveView::become_partial(TimePoint now) {
    partial_ = true;
    next_pick_ = now;
    next_visit_ = now + jittered(random_, settings_.visit_every);
    choose_leaving();
}

void ActiveView::become_full() {
    partial_ = false;
    picks_.clear();
    visit_.reset();
    avoided_.clear();
    for (auto& [node, link] : links_) {
        link.leaving = false;
    }
}

/**
 * Of a full mesh so much stays as makes a mesh of few links, and both ends of each link choose
 * alike without a word: links closed at random by either end would leave some nodes with none.
 */
void ActiveView::choose_leaving() {
    std::vector<std::pair<double, NodeId>> others;
    for (const auto& [node, link] : links_) {
        if (!named(node) && !names_us_.contains(node)) {
            others.emplace_back(pair_hash(self_, node), node);
        }
    }
    std::sort(others.begin(), others.end());
    // The pairs that stay anyway are about as many as this node names.
    const std::size_t aim =
        std::max((settings_.least + most()) / 2, settings_.named) - settings_.named;
    std::size_t kept = links_.size() - others.size();
    for (const auto& [hash, node] : others) {
        const bool stays = hash * static_cast<double>(size()) < static_cast<double>(aim);
        if (stays || kept < settings_.least) {
            ++kept;
        } else {
            links_.at(node).leaving = true;
        }
    }
}

/** Whether the link is one of those that are to be `least` to `most`. Who comes counts only after a
 * while: it may be a visit. */
bool ActiveView::counts(const Links::value_type& link, TimePoint now) const {
    const auto& [node, state] = link;
    return !state.leaving && !visiting(node) &&
           (state.picked || now - state.since >= settings_.young);
}

std::size_t ActiveView::counted(TimePoint now) const {
    return static_cast<std::size_t>(std::count_if(
        links_.begin(), links_.end(), [&](const auto& link) { return counts(link, now); }));
}

void ActiveView::end_visit(TimePoint now) {
    if (visit_ && now >= visit_->ends) {
        surplus_.push_back(visit_->node);
    }
}

void ActiveView::trim(TimePoint now) {
    std::vector<NodeId> strangers;
    std::vector<NodeId> namers;
    for (const auto& link : links_) {
        const auto& [node, state] = link;
        if (now - state.since < settings_.young || visiting(node)) {
            continue;
        }
        if (state.leaving) {
            surplus_.push_back(node);
        } else if (!named(node)) {
            (names_us_.contains(node) ? namers : strangers).push_back(node);
        }
    }
    const std::size_t count = counted(now);
    if (count <= most()) {
        return;
    }
    const std::size_t before = surplus_.size();
    close_some(std::move(strangers), count - most());
    // Named pairs stay. But whom a whole mesh joined by would be named by the whole mesh.
    const std::size_t left = count - (surplus_.size() - before);
    if (left > most() + settings_.named) {
        close_some(std::move(namers), left - most() - settings_.named);
    }
}

void ActiveView::close_some(std::vector<NodeId> closable, std::size_t count) {
    shuffle(closable);
    closable.resize(std::min(closable.size(), count));
    surplus_.insert(surplus_.end(), closable.begin(), closable.end());
}

void ActiveView::fill(TimePoint now) {
    const std::size_t have = counted(now) + picks_.size();
    if (have >= settings_.least || now < next_pick_) {
        return;
    }
    for (std::size_t i = have; i < settings_.least; ++i) {
        const auto node = pick(now, false);
        if (!node) {
            break;
        }
        picks_.insert(*node);
    }
    next_pick_ = now + jittered(random_, pause_);
    pause_ = std::min(std::chrono::duration_cast<Duration>(pause_ * settings_.growth),
                      settings_.pause_cap);
}

void ActiveView::begin_visit(TimePoint now) {
    if (now < next_visit_) {
        return;
    }
    const auto node = visit_ ? std::nullopt : next_lost(); // one may still be being dialled
    const bool lost = node || !lost_.empty();
    next_visit_ = now + jittered(random_, lost ? settings_.revisit_every : settings_.visit_every);
    if (visit_) {
        return;
    }
    if (const auto other = node ? node : pick(now, true)) {
        visit_ = Visit{*other};
    }
}

/** A node whose link broke lately and that is not linked again. */
std::optional<NodeId> ActiveView::next_lost() {
    while (!lost_.empty()) {
        Lost next = lost_.front();
        lost_.pop_front();
        if (links_.contains(next.node) || !knows(next.node)) {
            continue;
        }
        if (--next.visits > 0) {
            lost_.push_back(next);
        }
        return next.node;
    }
    return std::nullopt;
}

bool ActiveView::eligible(const NodeId& node) const {
    return node != self_ && !links_.contains(node) && !picks_.contains(node) && !visiting(node) &&
           !directory_.endpoints(node).empty();
}

/** A random node that is known: one in reach before others, except for a visit, and one that failed
 * or was crowded only when nobody else is left. */
std::optional<NodeId> ActiveView::pick(TimePoint now, bool visit) {
    const std::size_t known = size();
    const bool alone = links_.empty();
    std::optional<NodeId> second;
    std::optional<NodeId> third;
    for (unsigned i = 0; i < kTries && known > 0; ++i) {
        const NodeId node = directory_.at(random_below(random_, known));
        if (!eligible(node)) {
            continue;
        }
        const auto avoided = avoided_.find(node);
        if (avoided != avoided_.end()) {
            const Duration since = now - avoided->second.since;
            if (alone && since >= settings_.avoid_alone) {
                third = node;
            }
            if (since < settings_.avoid_for) {
                continue;
            }
        }
        if (visit || !directory_.reachable || directory_.reachable(node)) {
            return node;
        }
        second = node;
    }
    return second ? second : third;
}

Duration ActiveView::settling() const {
    return named_before_ ? settings_.settled : settings_.first_settled;
}

/** Whoever is named stays so as long as it is linked: each change is a record to the whole mesh. */
void ActiveView::name(TimePoint now) {
    if (size() <= settings_.watch_all) {
        named_.reset();
        return;
    }
    if (!named_) {
        named_.emplace();
    }
    if (named_->size() >= settings_.named) {
        return;
    }
    std::vector<NodeId> candidates;
    for (const auto& [node, link] : links_) {
        const bool closing = std::find(surplus_.begin(), surplus_.end(), node) != surplus_.end();
        if (now - link.since >= settling() && !link.leaving && !closing && !visiting(node) &&
            !named(node)) {
            candidates.push_back(node);
        }
    }
    // Each change goes to all nodes: the first names wait for each other, for a while.
    const bool early = !named_before_ && candidates.size() < settings_.named &&
                       std::none_of(links_.begin(), links_.end(), [&](const auto& entry) {
                           return now - entry.second.since >= settings_.settled;
                       });
    if (early) {
        return;
    }
    shuffle(candidates);
    std::stable_partition(candidates.begin(), candidates.end(), [&](const NodeId& node) {
        return names_us_.contains(node);
    });
    candidates.resize(std::min(candidates.size(), settings_.named - named_->size()));
    named_->insert(candidates.begin(), candidates.end());
    named_before_ = named_before_ || !named_->empty();
}

void ActiveView::shuffle(std::vector<NodeId>& nodes) {
    for (std::size_t i = nodes.size(); i > 1; --i) {
        std::swap(nodes[i - 1], nodes[random_below(random_, i)]);
    }
}

TimePoint ActiveView::next_deadline() const {
    TimePoint next = outgrown() == partial_ ? TimePoint::max() : now_;
    const auto consider = [&](TimePoint at) { next = std::min(next, at); };
    if (partial_) {
        consider(next_visit_);
        if (visit_) {
            consider(visit_->ends);
        }
        if (counted(now_) + picks_.size() < settings_.least) {
            consider(next_pick_);
        }
    }
    const bool naming = named_ && named_->size() < settings_.named;
    for (const auto& [node, link] : links_) {
        const TimePoint old = link.since + settings_.young;
        const TimePoint stands = link.since + settling();
        if (partial_ && old > now_) {
            consider(old);
        }
        if (naming && stands > now_) {
            consider(stands);
        }
        if (naming && !named_before_ && link.since + settings_.settled > now_) {
            consider(link.since + settings_.settled);
        }
    }
    return next;
}

} // namespace weave::mesh
