// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <compare>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace weave::ipam {

/** A place in the range: the offset from its first address, the same in both families. */
using Index = std::uint32_t;

/** The indices from `first` up to, and without, `end`. */
struct Run {
    Index first = 0;
    Index end = 0;

    auto operator<=>(const Run&) const = default;

    [[nodiscard]] Index size() const { return end > first ? end - first : 0; }

    [[nodiscard]] bool empty() const { return end <= first; }

    [[nodiscard]] bool contains(Index index) const { return index >= first && index < end; }
};

/** What both have. */
Run overlap(const Run& one, const Run& other);

/**
 * What orders claims on an index: greater wins. Only an index's owner writes the next `version`, to
 * give it away; `era` grows when the space of a node that left is taken back, so that whatever that
 * node still says of it is older.
 */
struct Stamp {
    std::uint32_t era = 0;
    std::uint32_t version = 0;

    auto operator<=>(const Stamp&) const = default;
};

struct Claim {
    NodeId owner;
    Stamp stamp;

    bool operator==(const Claim&) const = default;
};

/**
 * Who owns which part of the range. Each index is a register of its own that keeps the greatest
 * claim, so merging is a join: it has no error, and any order, grouping or repetition of merges
 * ends in the same ring. Claims of one stamp come from nodes that each began alone with the whole
 * range; of those an index goes to the one whose start is the nearest before it, going round: each
 * keeps what lies behind its own start, where it began to allocate (as in consistent hashing).
 * Not thread-safe.
 */
class Ring {
  public:
    explicit Ring(Index size);

    [[nodiscard]] Index size() const { return size_; }

    /** Where a node begins: its id is a hash already. */
    [[nodiscard]] Index start_of(const NodeId& node) const;

    /** Joins a claim; what of the run is outside the range is left out. True when the ring changed.
     */
    bool merge(Run run, const Claim& claim);

    /** The claim on an index of the range; one with stamp {0, 0} when nobody has claimed it. */
    [[nodiscard]] const Claim& at(Index index) const;

    /** Whether merge() would change anything. */
    [[nodiscard]] bool wins(Run run, const Claim& claim) const;
    /** Whether merge() could end with more pieces. */
    [[nodiscard]] bool splits(Run run, const Claim& claim) const;

    [[nodiscard]] std::size_t piece_count() const { return pieces_.size(); }

    /** Calls visit(Run, const Claim&) for each piece within the run, in order. */
    template <class Visit> void for_each_piece(Run within, Visit visit) const {
        within = overlap(within, {0, size_});
        if (within.empty()) {
            return;
        }
        for (auto piece = std::prev(pieces_.upper_bound(within.first));
             piece != pieces_.end() && piece->first < within.end;
             ++piece) {
            visit(overlap({piece->first, end_of(piece)}, within), piece->second);
        }
    }

    /** All of it in order, in as few pieces as can be. */
    [[nodiscard]] std::vector<std::pair<Run, Claim>> pieces() const;
    /** The same of a part. */
    [[nodiscard]] std::vector<std::pair<Run, Claim>> pieces_in(Run within) const;
    /** What the node owns within the run, in order. */
    [[nodiscard]] std::vector<std::pair<Run, Stamp>> owned(const NodeId& node, Run within) const;

    /** Nobody has claimed anything. */
    [[nodiscard]] bool empty() const;

    bool operator==(const Ring& other) const = default;

  private:
    using Pieces = std::map<Index, Claim>;

    [[nodiscard]] bool beats(const Claim& one, const Claim& other, Index at) const;
    [[nodiscard]] Index end_of(Pieces::const_iterator piece) const;
    void cut(Index at);
    void join(Run run);

    Index size_;
    Pieces pieces_; ///< by first index; each reaches to the next
};

} // namespace weave::ipam
