// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The gossip machine fed with link messages, some of them with records that verify. Its own
// messages go to a second mesh, which must be able to read them.
#include "support/fake_ports.hpp"
#include "target.hpp"

#include <array>
#include <map>
#include <memory>
#include <vector>

namespace weave::fuzz {
namespace {

using namespace weave::mesh;
using namespace std::chrono_literals;

constexpr int kMaxOperations = 64;
constexpr std::uint64_t kKeys = 6; ///< of these, 0 is the first mesh's own and 1 the second's
constexpr LinkId kPeerLink = 1;
constexpr LinkId kForgerLink = 2;
constexpr StoreLimits kLimits{4, 3, 2};

MeshSettings settings() {
    MeshSettings out;
    out.limits = kLimits;
    out.forget_after = 20s;
    out.flush_bytes = 600;
    return out;
}

class World {
  public:
    World() {
        for (std::uint64_t i = 0; i < 2; ++i) {
            const auto key = test::fake_key(i);
            meshes_[i] =
                std::make_unique<Mesh>(key, 1, test::fake_ports(key, random_), now_, settings());
        }
        for (std::size_t i = 0; i < 2; ++i) {
            meshes_[i]->on_link_up(kPeerLink, meshes_[1 - i]->self(), now_);
        }
        first().on_link_up(kForgerLink, test::fake_identify(test::fake_key(2)), now_);
    }

    void step(Input& input) {
        switch (const std::uint8_t op = input.u8(); op % 8) {
        case 0:
            first().on_message((op & 8) != 0 ? kPeerLink : kForgerLink, input.part(), now_);
            break;
        case 1:
            send_record(input);
            break;
        case 2:
            pass(100ms * (input.u8() + 1));
            break;
        case 3:
            first().set_own(input.u8(), copy(input.short_part()), now_);
            break;
        case 4:
            first().mark_unreachable(node(input.u8()), (op & 8) != 0, now_);
            break;
        case 5:
            first().set_link_blocked(kPeerLink, (op & 8) != 0);
            break;
        case 6:
            reconnect();
            break;
        default:
            set_topology(input);
        }
        settle();
    }

  private:
    Mesh& first() { return *meshes_[0]; }

    static wire::RecordKey key(std::uint8_t number) { return test::fake_key(number % kKeys); }

    static NodeId node(std::uint8_t number) { return test::fake_identify(key(number)); }

    /** A record with a signature that holds (unless told otherwise), from whoever the input says.
     */
    void send_record(Input& input) {
        const std::uint8_t who = input.u8();
        const std::uint8_t kind = input.u8();
        const wire::Stamp stamp{input.u8(), input.u8()};
        const ByteView tlvs = input.short_part();
        auto record =
            wire::sign_record(node(who), key(who), stamp, kind, tlvs, [&](ByteView message) {
                return test::fake_sign(key(who), message);
            });
        FUZZ_CHECK(record.has_value());
        if ((who & 0x80) != 0) {
            record->raw.back() ^= 1;
        }
        wire::RecordBatch batch;
        FUZZ_CHECK(batch.add(*record));
        first().on_message(kForgerLink, batch.take(), now_);
    }

    void set_topology(Input& input) {
        wire::Topology topology;
        topology.name = std::string(input.u8() % 8, 'n');
        topology.endpoints.push_back({IpAddress::v4({10, 0, 0, input.u8()}), 6783});
        topology.lanes = input.u8();
        first().set_own_topology(topology, now_);
    }

    void reconnect() {
        first().on_link_down(kForgerLink);
        first().on_link_up(kForgerLink, test::fake_identify(test::fake_key(2)), now_);
    }

    void pass(Duration duration) {
        const TimePoint end = now_ + duration;
        while (now_ < end) {
            now_ += 100ms;
            for (const auto& mesh : meshes_) {
                mesh->tick(now_);
                FUZZ_CHECK(mesh->next_deadline() > now_ || mesh.get() == &first());
            }
            settle();
        }
    }

    /** Carries messages between the two until none is left. */
    void settle() {
        for (bool busy = true; busy;) {
            busy = carry(0);
            busy = carry(1) || busy;
        }
        check_store(first());
    }

    bool carry(std::size_t from) {
        const auto actions = meshes_[from]->take_actions();
        for (const MeshAction& action : actions) {
            if (const auto* send = std::get_if<Send>(&action)) {
                FUZZ_CHECK(send->message.size() <= wire::kMaxLinkMessage);
                if (send->link == kPeerLink) {
                    meshes_[1 - from]->on_message(kPeerLink, send->message, now_);
                }
            } else if (const auto* changed = std::get_if<RecordChanged>(&action)) {
                const wire::Record& record = *changed->record;
                FUZZ_CHECK(test::fake_sign(record.key, record.signed_part()) == record.signature());
                FUZZ_CHECK(test::fake_identify(record.key) == record.node);
            } else if (const auto* counted = std::get_if<Counted>(&action)) {
                // Only the first one hears a forger.
                FUZZ_CHECK(from == 0 || is_harmless(counted->name));
            }
        }
        return !actions.empty();
    }

    static bool is_harmless(std::string_view name) {
        return name != "mesh_malformed_message" && name != "mesh_malformed_record" &&
               name != "mesh_unknown_message" && name != "mesh_bad_signature";
    }

    /** Limits hold (our own records find room always), and no stamp goes down while its node is
     * known. */
    void check_store(Mesh& mesh) {
        const Store& store = mesh.store();
        const auto own = store.of(mesh.self());
        const bool held = !own.empty();
        FUZZ_CHECK(store.nodes() <= kLimits.nodes + (held ? 1 : 0));
        FUZZ_CHECK(store.size() - own.size() <= kLimits.nodes * kLimits.records_per_node);
        FUZZ_CHECK(mesh.waiting() <= 2 * store.size());
        std::map<wire::RecordId, wire::Stamp> stamps;
        for (const Store::Bucket& bucket : store.buckets()) {
            for (const wire::RecordPtr& record : bucket) {
                const auto before = stamps_.find(record->id());
                FUZZ_CHECK(before == stamps_.end() || before->second <= record->stamp);
                stamps[record->id()] = record->stamp;
            }
        }
        stamps_ = std::move(stamps);
        const auto routes = mesh.routes();
        FUZZ_CHECK(!routes->relayed.contains(mesh.self()));
        for (const auto& [id, route] : routes->relayed) {
            FUZZ_CHECK(route.hops > 1 && route.next_hop != id && routes->reaches(id));
        }
        FUZZ_CHECK(mesh.nodes().size() <= kLimits.nodes + (held ? 1 : 0));
    }

    std::mt19937_64 random_{1};
    TimePoint now_ = TimePoint{} + 1h;
    std::array<std::unique_ptr<Mesh>, 2> meshes_;
    std::map<wire::RecordId, wire::Stamp> stamps_;
};

/** Whatever order records come in, the same ones are held in the end. */
void check_order(Input input) {
    constexpr std::size_t kRecords = 64;
    std::vector<wire::RecordPtr> records;
    while (records.size() < kRecords && !input.empty()) {
        auto record = std::make_shared<wire::Record>();
        record->key = test::fake_key(input.u8() % kKeys);
        record->node = test::fake_identify(record->key);
        record->kind = input.u8() % 4U;
        record->stamp = {input.u8(), input.u8()};
        records.push_back(std::move(record));
    }
    Store forth{StoreLimits{}};
    Store back{StoreLimits{}};
    for (std::size_t i = 0; i < records.size(); ++i) {
        forth.put(records[i]);
        back.put(records[records.size() - 1 - i]);
    }
    FUZZ_CHECK(forth.size() == back.size());
    FUZZ_CHECK(forth.digest().hashes == back.digest().hashes);
    for (const Store::Bucket& bucket : forth.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            const auto twin = back.find(record->id());
            FUZZ_CHECK(twin && twin->stamp == record->stamp);
        }
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    check_order(Input({data, size}));
    Input input({data, size});
    World world;
    for (int i = 0; i < kMaxOperations && !input.empty(); ++i) {
        world.step(input);
    }
    return 0;
}
