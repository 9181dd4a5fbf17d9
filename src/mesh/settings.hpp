// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "mesh/random.hpp"
#include "mesh/store.hpp"
#include "wire/record.hpp"

#include <cstddef>
#include <functional>

/** What the gossip machine is given. */
namespace weave::mesh {

/** What the mesh cannot do itself: it never calls a cryptographic library. */
struct Ports {
    wire::Signer sign;
    /** True when the owner's signature holds. */
    std::function<bool(const wire::Record&)> verify;
    /** wire::decode_shared(), or whatever returns what it would: equal bytes may share one object.
     */
    std::function<Result<wire::RecordPtr>(ByteView raw)> decode;
    wire::Identify identify;
    Random random;
};

struct MeshSettings {
    /** A record of ours is not replaced sooner than this after the last time. */
    Duration publish_interval = std::chrono::milliseconds(100);
    /** Nor sooner than it takes to send it on all links at this many bytes a second, a message
     * costing as much as `message_cost` more: while a large mesh forms the list of unreachable
     * nodes is long and changes all the time. */
    std::size_t publish_rate = std::size_t{8} << 20;
    std::size_t message_cost = 2048;
    /** The first of the two for addresses: pods wait until peers know theirs. */
    Duration addresses_interval = std::chrono::milliseconds(20);
    Duration digest_interval = std::chrono::seconds(10);
    /** A node that lost its last link and announced no grace time is forgotten after this. */
    Duration forget_after = std::chrono::minutes(5);
    /** No announcement makes it shorter or longer than these. */
    Duration least_grace = std::chrono::seconds(10);
    Duration most_grace = std::chrono::hours(1);
    /** Records handed to one link per flush; the rest follows every flush_interval. */
    std::size_t flush_bytes = 512 * 1024;
    Duration flush_interval = std::chrono::milliseconds(50);
    // Where not everybody is linked with everybody:
    /** What is pushed on waits for so long for more that goes the same way. */
    Duration gather = std::chrono::milliseconds(50);
    /** What was announced is asked for when it has not come by itself after this. */
    Duration ask_after = std::chrono::milliseconds(300);
    /** Lines with which one digest is answered; those of the other buckets are told another time.
     */
    std::size_t lines_at_once = 1000;
    /** From the first link on: until then the mesh has told who has our name. */
    Duration claim_name_after = std::chrono::seconds(2);
    /** Without any link, and after another holder of our name was last reachable. */
    Duration claim_name_late = std::chrono::seconds(20);
    /** In a mesh of more nodes than this a node that has no neighbours yet and those that it is
     * linked with watch each other. */
    std::size_t watch_all = 8;
    StoreLimits limits;
};

} // namespace weave::mesh
