// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/places.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>

namespace weave::ipam {
namespace {

using Sets = std::initializer_list<const RunSet*>;

/** The first at or after `from` that is in none of the sets. */
Index next_outside(Sets sets, Index from) {
    for (Index at = from;;) {
        Index next = at;
        for (const RunSet* set : sets) {
            next = set->next_absent(next);
        }
        if (next == at) {
            return at;
        }
        at = next;
    }
}

/** The first at or after `from` that is in one of the sets, or `end`. */
Index next_inside(Sets sets, Index from, Index end) {
    for (const RunSet* set : sets) {
        end = std::min(end, set->next_present(from).value_or(end));
    }
    return end;
}

/** Calls visit(gap) for what of the run is in none of the sets. */
template <class Visit> void for_each_gap(Run here, Sets sets, Visit visit) {
    for (Index at = next_outside(sets, here.first); at < here.end;) {
        const Index end = next_inside(sets, at, here.end);
        visit(Run{at, end});
        at = next_outside(sets, end);
    }
}

/** The first of the run that is in `among` and in none of the sets. */
std::optional<Index> first_of(Run here, const RunSet& among, Sets without) {
    for (Index at = here.first; at < here.end;) {
        const Index next = among.next_present(next_outside(without, at)).value_or(here.end);
        if (next == at) {
            return at;
        }
        at = next;
    }
    return std::nullopt;
}

bool at_end(Run block, Run piece) {
    return block.first == piece.first || block.end == piece.end;
}

} // namespace

Places::Places(Index size, Index start, Duration rest)
    : leases_(rest)
    , size_(size)
    , cursor_(start) {}

bool Places::owns(Index index) const {
    const auto after = std::ranges::upper_bound(
        owned_, index, {}, [](const auto& piece) { return piece.first.first; });
    return after != owned_.begin() && std::prev(after)->first.contains(index);
}

void Places::reserve(Run subnet) {
    if (subnet.size() >= 4 && reserved_.size() < 2 * kMaxSubnets) {
        reserved_.insert(subnet.first);
        reserved_.insert(subnet.end - 1);
    }
}

void Places::gave(Run run) {
    taken_.erase(run);
    leases_.forget(run);
}

std::optional<Index> Places::choose(Run within) const {
    if (within.size() >= 4) {
        within = {within.first + 1, within.end - 1};
    }
    if (const auto fresh = never_used(within)) {
        return fresh;
    }
    const auto again = rested(within);
    return again ? again : taken_over(within);
}

std::optional<Index> Places::never_used(Run within) const {
    for (const Run half : {Run{cursor_, size_}, Run{0, cursor_}}) {
        for (const auto& [run, stamp] : owned_) {
            const Run here = overlap(overlap(run, half), within);
            if (here.empty()) {
                continue;
            }
            const Index at = next_outside(
                {&leases_.known(), &usage_.live(), &usage_.last_known(), &taken_, &reserved_},
                here.first);
            if (here.contains(at)) {
                return at;
            }
        }
    }
    return std::nullopt;
}

std::optional<Index> Places::rested(Run within) const {
    return leases_.rested([&](Index index) {
        return within.contains(index) && !reserved_.contains(index) && owns(index) &&
               !usage_.live().contains(index) && !usage_.last_known().contains(index) &&
               !taken_.contains(index);
    });
}

std::optional<Index> Places::taken_over(Run within) const {
    const RunSet& busy = leases_.occupied();
    for (const auto& [run, stamp] : owned_) {
        const auto at = first_of(overlap(run, within),
                                 taken_,
                                 {&busy, &usage_.live(), &usage_.last_known(), &reserved_});
        if (at) {
            return at;
        }
    }
    for (const auto& [run, stamp] : owned_) {
        const auto at = first_of(
            overlap(run, within), usage_.last_known(), {&busy, &usage_.live(), &reserved_});
        if (at) {
            return at;
        }
    }
    return std::nullopt;
}

void Places::hand_out(const std::string& holder, Index index) {
    leases_.add(holder, index);
    taken_.erase(index);
}

std::size_t Places::free(Run within) const {
    std::size_t out = 0;
    for (const auto& [run, stamp] : owned_) {
        for_each_gap(
            overlap(run, within),
            {&leases_.occupied(), &usage_.live(), &usage_.last_known(), &taken_, &reserved_},
            [&](Run gap) { out += gap.size(); });
    }
    return out;
}

bool Places::rests(Index index) const {
    return owns(index) && leases_.occupied().contains(index) && !leases_.holds(index) &&
           !usage_.live().contains(index);
}

std::size_t Places::left_of(const NodeId& node, Run run) const {
    const auto used = usage_.by_node().find(node);
    const RunSet none;
    std::size_t out = 0;
    for_each_gap(run,
                 {used == usage_.by_node().end() ? &none : &used->second, &reserved_},
                 [&](Run gap) { out += gap.size(); });
    return out;
}

std::size_t Places::spare(Run within) const {
    std::size_t out = 0;
    for (const auto& [run, stamp] : owned_) {
        for_each_gap(overlap(run, within),
                     {&leases_.occupied(), &usage_.live(), &reserved_},
                     [&](Run gap) { out += gap.size(); });
    }
    return out - free(within);
}

/** Its own reserved places, and the ends of the run that is asked for, are no use to a node. */
bool Places::has_usable(Run run, Run within) const {
    if (within.size() >= 4) {
        run = overlap(run, {within.first + 1, within.end - 1});
    }
    return reserved_.next_absent(run.first) < run.end;
}

Run Places::block(const Wish& wish) const {
    Run best;
    const auto consider = [&](Run gap, Run piece) {
        for (Index size = std::bit_floor(std::min(wish.most, gap.size())); size > best.size();
             size /= 2) {
            const Index last = (gap.end - size) / size * size;
            const Index first = (gap.first + size - 1) / size * size;
            for (const Run one : {Run{last, last + size}, Run{first, first + size}}) {
                if (one.first >= gap.first && one.end <= gap.end && one.size() > best.size() &&
                    (!wish.edges || at_end(one, piece)) && has_usable(one, wish.within)) {
                    best = one;
                }
            }
        }
    };
    // The taken ones are in both sets then, which does no harm.
    const RunSet& last = wish.spare ? usage_.live() : usage_.last_known();
    const RunSet& taken = wish.spare ? usage_.live() : taken_;
    for (const auto& [run, stamp] : owned_) {
        const Run piece = run;
        for_each_gap(overlap(run, wish.within),
                     {&leases_.occupied(), &usage_.live(), &last, &taken},
                     [&](Run gap) { consider(gap, piece); });
    }
    return best;
}

} // namespace weave::ipam
