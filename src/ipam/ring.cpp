// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/ring.hpp"

#include <algorithm>
#include <iterator>

namespace weave::ipam {

Run overlap(const Run& one, const Run& other) {
    return {std::max(one.first, other.first), std::min(one.end, other.end)};
}

Ring::Ring(Index size)
    : size_(size) {
    pieces_.emplace(0, Claim{});
}

Index Ring::start_of(const NodeId& node) const {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < sizeof hash; ++i) {
        hash = hash << 8 | node.octets[i];
    }
    return static_cast<Index>(hash % size_);
}

/** A total order on the claims of one index. */
bool Ring::beats(const Claim& one, const Claim& other, Index at) const {
    if (one.stamp != other.stamp) {
        return one.stamp > other.stamp;
    }
    const auto distance = [&](const NodeId& node) {
        return (std::uint64_t{at} + size_ - start_of(node)) % size_;
    };
    const auto left = distance(one.owner);
    const auto right = distance(other.owner);
    return left != right ? left < right : one.owner < other.owner;
}

/** Most that is heard was heard before. */
bool Ring::wins(Run run, const Claim& claim) const {
    run = overlap(run, {0, size_});
    if (run.empty() || claim.stamp == Stamp{}) {
        return false;
    }
    for (auto piece = std::prev(pieces_.upper_bound(run.first));
         piece != pieces_.end() && piece->first < run.end;
         ++piece) {
        const Claim& there = piece->second;
        if (there == claim || there.stamp > claim.stamp) {
            continue;
        }
        const Run here = overlap({piece->first, end_of(piece)}, run);
        for (const Index at : {here.first, start_of(claim.owner), start_of(there.owner)}) {
            if (here.contains(at) && beats(claim, there, at)) {
                return true;
            }
        }
    }
    return false;
}

bool Ring::splits(Run run, const Claim& claim) const {
    run = overlap(run, {0, size_});
    const auto boundary = [&](Index at) { return at >= size_ || pieces_.contains(at); };
    bool out = !boundary(run.first) || !boundary(run.end);
    for_each_piece(run, [&](Run /*piece*/, const Claim& there) {
        out = out || (there.stamp == claim.stamp && there.owner != claim.owner);
    });
    return out;
}

bool Ring::merge(Run run, const Claim& claim) {
    run = overlap(run, {0, size_});
    if (!wins(run, claim)) {
        return false;
    }
    cut(run.first);
    cut(run.end);
    // Where two claims of one stamp meet, the winner changes only at their starts.
    if (const Index start = start_of(claim.owner); run.contains(start)) {
        cut(start);
    }
    bool changed = false;
    for (auto piece = pieces_.find(run.first); piece != pieces_.end() && piece->first < run.end;
         ++piece) {
        if (piece->second.stamp == claim.stamp && piece->second.owner != claim.owner) {
            const Index start = start_of(piece->second.owner);
            if (start > piece->first && start < end_of(piece)) {
                cut(start);
            }
        }
        if (piece->second != claim && beats(claim, piece->second, piece->first)) {
            piece->second = claim;
            changed = true;
        }
    }
    join(run);
    return changed;
}

const Claim& Ring::at(Index index) const {
    return std::prev(pieces_.upper_bound(index))->second;
}

std::vector<std::pair<Run, Claim>> Ring::pieces() const {
    return pieces_in({0, size_});
}

std::vector<std::pair<Run, Claim>> Ring::pieces_in(Run within) const {
    std::vector<std::pair<Run, Claim>> out;
    for_each_piece(within,
                   [&](const Run& run, const Claim& claim) { out.emplace_back(run, claim); });
    return out;
}

std::vector<std::pair<Run, Stamp>> Ring::owned(const NodeId& node, Run within) const {
    std::vector<std::pair<Run, Stamp>> out;
    for_each_piece(within, [&](const Run& run, const Claim& claim) {
        if (claim.owner == node && claim.stamp != Stamp{}) {
            out.emplace_back(run, claim.stamp);
        }
    });
    return out;
}

bool Ring::empty() const {
    return pieces_.size() == 1 && pieces_.begin()->second.stamp == Stamp{};
}

Index Ring::end_of(Pieces::const_iterator piece) const {
    const auto next = std::next(piece);
    return next == pieces_.end() ? size_ : next->first;
}

/** Makes an index the first of a piece. */
void Ring::cut(Index at) {
    if (at >= size_) {
        return;
    }
    const auto piece = std::prev(pieces_.upper_bound(at));
    if (piece->first != at) {
        pieces_.emplace_hint(std::next(piece), at, piece->second);
    }
}

/** Makes one of neighbours that say the same, in the run and at both its ends. */
void Ring::join(Run run) {
    auto piece = pieces_.lower_bound(run.first);
    if (piece != pieces_.begin()) {
        --piece;
    }
    while (piece != pieces_.end() && piece->first < run.end) {
        const auto next = std::next(piece);
        if (next != pieces_.end() && next->second == piece->second) {
            pieces_.erase(next);
        } else {
            piece = next;
        }
    }
}

} // namespace weave::ipam
