// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/world.hpp"

namespace weave::sim {

/** Starts all nodes within three seconds; each has node 0 as target, some a second one. */
void boot(World& world);

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

} // namespace weave::sim
