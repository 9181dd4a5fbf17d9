// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/drop.hpp"
#include "dataplane/tables.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/** Where frames and relayed datagrams go, apart from how: lanes and the simulator decide by this.
 */
namespace weave::dataplane {

/** What the destination of a frame says. */
struct Destination {
    bool group = false;
    bool routed = false; ///< to the router's own MAC: by IP address, never flooded
    PeerIndex owner = kNoPeer;
};

/** The peers that take group frames, each once. */
template <class Peers> std::vector<PeerIndex> group_takers(const Peers& peers) {
    std::vector<PeerIndex> takers;
    for (PeerIndex index = 0; index < peers.size(); ++index) {
        if (!peers[index].vacant() && peers[index].wants_broadcast) {
            takers.push_back(index);
#ifdef WEAVE_BREAK_ONE_COPY // the simulator proves that it notices
            takers.push_back(index);
#endif
        }
    }
    return takers;
}

/**
 * Which peers get a frame: one, or all in `takers`. Nobody: the reason. `out` points into the
 * arguments.
 */
inline std::optional<Drop> recipients(const Destination& to,
                                      std::span<const PeerIndex> takers,
                                      std::span<const PeerIndex>& out) {
    // An unknown MAC goes to all, as a switch does with one that it has not learnt yet.
    if (to.group || (to.owner == kNoPeer && !to.routed)) {
        out = takers;
        return std::nullopt;
    }
    if (to.owner == kNoPeer || to.owner == kLocalPeer) {
        return to.owner == kLocalPeer ? Drop::local_destination : Drop::no_route;
    }
    out = {&to.owner, 1};
#ifdef WEAVE_BREAK_DESTINATION // the simulator proves that it notices
    out = takers.empty() ? out : takers.first(1);
#endif
    return std::nullopt;
}

/**
 * Whether a relay passes a datagram on that `from` handed to it: to `next` (kNoPeer: there is no
 * path), with the hop limit that `ttl` then has. Nobody gets back what it sent.
 */
inline std::optional<Drop> forward(PeerIndex from, PeerIndex next, std::uint8_t& ttl) {
    if (ttl <= 1) {
        return Drop::ttl_expired;
    }
    if (next == kNoPeer) {
        return Drop::relay_refused;
    }
#ifdef WEAVE_BREAK_STRAIGHT_BACK // the simulator proves that it notices
    from = kNoPeer;
#endif
    if (next == from) {
        return Drop::relay_loop;
    }
#ifndef WEAVE_BREAK_HOP_LIMIT // the simulator proves that it notices this missing
    --ttl;
#endif
    return std::nullopt;
}

} // namespace weave::dataplane
