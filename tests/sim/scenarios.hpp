// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/world.hpp"

#include <vector>

namespace weave::sim {

/** What a node with a few pods announces. */
Bytes some_addresses(std::uint64_t number);

/** Starts all nodes within three seconds; each has node 0 as target, some a second one. */
void boot(World& world);

/** Starts all nodes at random moments within the span, node 0 first; it is the only target of each.
 */
void boot_within(World& world, Duration span);

/** Starts all nodes at once, each with all others as targets: every pair dials from both ends. */
void boot_all_at_once(World& world);

/**
 * A bad hour: partitions, restarts, blocked paths, clock steps, address changes, early new keys,
 * replayed records and datagrams in random order, under loss, delay, reordering and duplication,
 * with frames on the way all the time, and a few calm seconds now and then. Ends with everything
 * healed.
 */
void storm(World& world, unsigned troubles);

/** More phantoms than a store takes, time to forget them, again; two nodes' links are stuck. */
void flood(World& world);

/** More frames than may wait, for a node that cannot be reached for a while. */
void backlog(World& world);

/** New keys everywhere, several times a second, with frames on the way. */
void rekey_often(World& world);

/** Blocks UDP so that paths of several hops are needed: a chain of groups. */
void chain(World& world, std::size_t group);
/** The same with the ends joined. */
void ring(World& world, std::size_t group);

/** Per node and second. */
struct Rate {
    double tcp_bytes = 0;
    double udp_bytes = 0;
};

/** What nodes carry of which nobody wants anything. */
Rate idle_bytes(World& world, Duration span);

/**
 * Changes the addresses of some nodes, one after the other: how long each of these records took to
 * each other node that is up, to 5 ms, ascending. Whatever did not come took the limit.
 */
std::vector<Duration> spread_times(World& world, unsigned changes, Duration limit);

/** Of what is ascending: what this share is not above. */
Duration percentile(const std::vector<Duration>& times, double share);

} // namespace weave::sim
