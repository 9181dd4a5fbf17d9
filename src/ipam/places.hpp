// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ipam/leases.hpp"
#include "ipam/usage.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weave::ipam {

/**
 * Which of this node's own indices goes out next. In this order: never used, going round from where
 * the node began; rested, the longest first; taken over from a node that is away; those of them (or
 * of our own) that its pods were last known to use. Never: what is held, rests, is reserved or is
 * used by a node that is not away. Not thread-safe.
 */
class Places {
  public:
    /** Most subnets whose ends are kept free for ever; of more, only while they are asked for. */
    static constexpr std::size_t kMaxSubnets = 1024;

    Places(Index size, Index start, Duration rest);

    [[nodiscard]] Leases& leases() { return leases_; }

    [[nodiscard]] const Leases& leases() const { return leases_; }

    [[nodiscard]] Usage& usage() { return usage_; }

    [[nodiscard]] const Usage& usage() const { return usage_; }

    /** What the ring says is this node's, in order. */
    void own(std::vector<std::pair<Run, Stamp>> owned) { owned_ = std::move(owned); }

    [[nodiscard]] const std::vector<std::pair<Run, Stamp>>& owned() const { return owned_; }

    [[nodiscard]] bool owns(Index index) const;

    /** The first and the last of a subnet of at least four are its network and broadcast address:
     * nobody's. */
    void reserve(Run subnet);

    [[nodiscard]] bool is_reserved(Index index) const { return reserved_.contains(index); }

    [[nodiscard]] const RunSet& reserved() const { return reserved_; }

    /** Came from a node that is away. */
    void take(Run run) { taken_.insert(run); }

    [[nodiscard]] const RunSet& taken() const { return taken_; }

    /** Went to another node. */
    void gave(Run run);

    /** The one to hand out next. */
    [[nodiscard]] std::optional<Index> choose(Run within) const;
    void hand_out(const std::string& holder, Index index);

    /** What was never used goes out from here on, going round. */
    void go_on_from(Index index) { cursor_ = index; }

    /** Never used or rested: the first two choices. */
    [[nodiscard]] std::size_t free(Run within) const;
    /** Taken over, and the last known uses: the last two. */
    [[nodiscard]] std::size_t spare(Run within) const;

    /** It was freed a short while ago; whoever asks for just this one may have it. */
    [[nodiscard]] bool rests(Index index) const;

    /** How much of a run is neither used by that node nor reserved: of its own run, what it can
     * give at most. */
    [[nodiscard]] std::size_t left_of(const NodeId& node, Run run) const;

    struct Wish {
        Run within;
        Index most = 1;
        /** Of what is free, or of the last two choices. */
        bool spare = false;
        /** Only from the ends of our pieces, so that they do not become more. */
        bool edges = false;
    };

    /** The largest aligned block, a power of two, to give away; empty when there is none. It has at
     * least one index that a node can hand out. */
    [[nodiscard]] Run block(const Wish& wish) const;

  private:
    [[nodiscard]] std::optional<Index> never_used(Run within) const;
    [[nodiscard]] std::optional<Index> rested(Run within) const;
    [[nodiscard]] std::optional<Index> taken_over(Run within) const;
    [[nodiscard]] bool has_usable(Run run, Run within) const;

    Leases leases_;
    Usage usage_;
    Index size_;
    Index cursor_;
    std::vector<std::pair<Run, Stamp>> owned_;
    RunSet reserved_;
    RunSet taken_;
};

} // namespace weave::ipam
