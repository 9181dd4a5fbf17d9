// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/connector.hpp"
#include "mesh/mesh.hpp"
#include "support/fake_ports.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weave::mesh::test {

using namespace std::chrono_literals;
using weave::test::fake_identify;
using weave::test::fake_key;
using weave::test::fake_ports;
using weave::test::fake_sign;

inline NodeId node_of(std::uint64_t number) {
    return fake_identify(fake_key(number));
}

/** A record of node `number`, signed by it. */
inline wire::RecordPtr
record_of(std::uint64_t number, wire::Stamp stamp, std::uint16_t kind = 9, const Bytes& tlvs = {}) {
    const wire::RecordKey key = fake_key(number);
    return std::make_shared<wire::Record>(
        *wire::sign_record(fake_identify(key), key, stamp, kind, tlvs, [&](ByteView message) {
            return fake_sign(key, message);
        }));
}

/** One well-formed TLV that makes a record this much longer. */
inline Bytes filler(std::size_t size) {
    Bytes out(size + 3);
    out[0] = 99;
    out[1] = static_cast<std::uint8_t>(size);
    out[2] = static_cast<std::uint8_t>(size >> 8);
    return out;
}

inline wire::RecordPtr topology_of(std::uint64_t number,
                                   wire::Stamp stamp,
                                   const std::string& name,
                                   const std::vector<NodeId>& unreachable = {},
                                   std::uint16_t grace = 0) {
    wire::Topology topology;
    topology.grace = grace;
    topology.name = name;
    topology.unreachable = unreachable;
    return record_of(number, stamp, wire::kTopologyKind, wire::encode_topology(topology));
}

inline Bytes batch_of(const std::vector<wire::RecordPtr>& records) {
    wire::RecordBatch batch;
    for (const wire::RecordPtr& record : records) {
        batch.add(*record);
    }
    return batch.take();
}

/** A mesh that says nothing by itself while the tests of gossip count what it says. */
inline MeshSettings nameless() {
    MeshSettings settings;
    settings.claim_name_after = settings.claim_name_late = 10000h;
    return settings;
}

/** One mesh machine, number 1, with what it asked for sorted. */
struct Solo {
    explicit Solo(MeshSettings settings = nameless())
        : random(5)
        , mesh(fake_key(1), 1, fake_ports(fake_key(1), random), now, settings) {
        wire::Topology topology;
        topology.name = "self";
        mesh.set_own_topology(topology, now);
        pass(0ms);
    }

    /** Opens a link to node `number`; its id is the number. */
    void link(std::uint64_t number) {
        mesh.on_link_up(number, node_of(number), now);
        pass(0ms);
    }

    void hears(std::uint64_t link, const std::vector<wire::RecordPtr>& records) {
        for (const wire::RecordPtr& record : records) {
            mesh.on_message(link, batch_of({record}), now);
        }
        pass(0ms);
    }

    void pass(Duration span) {
        const TimePoint end = now + span;
        do {
            now = std::min(end, std::max(now + 1ms, mesh.next_deadline()));
            mesh.tick(now);
            take();
        } while (now < end);
    }

    void take() {
        for (MeshAction& action : mesh.take_actions()) {
            if (auto* send = std::get_if<Send>(&action)) {
                sent[send->link].push_back(std::move(send->message));
            } else if (const auto* counted = std::get_if<Counted>(&action)) {
                ++counts[counted->name];
            } else if (const auto* changed = std::get_if<RecordChanged>(&action)) {
                accepted.push_back(changed->record);
            } else if (const auto* gone = std::get_if<NodeGone>(&action)) {
                left.push_back(gone->node);
            } else if (const auto* raised = std::get_if<EpochRaised>(&action)) {
                epochs.push_back(raised->epoch);
            } else if (const auto* copy = std::get_if<IdentityElsewhere>(&action)) {
                copies.push_back(*copy);
            } else if (const auto* names = std::get_if<NameCollision>(&action)) {
                collisions.push_back(*names);
            }
        }
    }

    /** Messages of a kind on a link so far. */
    std::size_t messages(LinkId link, wire::LinkMessageKind kind) {
        return static_cast<std::size_t>(
            std::count_if(sent[link].begin(), sent[link].end(), [&](const Bytes& message) {
                return wire::link_message_kind(message) == kind;
            }));
    }

    std::mt19937_64 random;
    TimePoint now = TimePoint{} + 1000h;
    Mesh mesh;
    std::map<LinkId, std::vector<Bytes>> sent;
    std::map<std::string, int> counts;
    std::vector<wire::RecordPtr> accepted;
    std::vector<NodeId> left;
    std::vector<std::uint64_t> epochs;
    std::vector<IdentityElsewhere> copies;
    std::vector<NameCollision> collisions;
};

} // namespace weave::mesh::test
