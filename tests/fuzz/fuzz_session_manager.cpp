// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Two session managers with fixed keys, a wire between them, and somebody who may lose, change,
// repeat and invent datagrams. Once that ends, the two come to terms again.
#include "session/flood_guard.hpp"
#include "session/support.hpp"
#include "target.hpp"

#include <optional>

namespace weave::fuzz {
namespace {

using namespace weave::session;
using test::Node;
using test::Pair;
using namespace std::chrono_literals;

constexpr int kMaxOperations = 40;
/** Current, next and three superseded ones. */
constexpr std::size_t kMaxKeys = 5;

/** A pair, and the one who sits on the wire. */
class World {
  public:
    World() {
        pair_.passes = [this](const Node&, const Bytes&) { return passes_; };
    }

    void step(Input& input) {
        const std::uint8_t op = input.u8();
        Node& node = (op & 1) != 0 ? pair_.a : pair_.b;
        Node& other = pair_.other(node);
        switch ((op >> 1) % 12) {
        case 0:
            node.open(other, pair_.now);
            break;
        case 1:
            wait(50ms * (input.u8() + 1), 100ms);
            break;
        case 2:
            wait(1s * input.u8(), 500ms);
            break;
        case 3:
            deliver(node, input.part(), input.u8());
            break;
        case 4:
            repeat(node, input);
            break;
        case 5:
            passes_ = !passes_;
            break;
        case 6:
            pair_.records_pass = !pair_.records_pass;
            break;
        case 7:
            node.manager->on_authenticated(input.u32(), pair_.now);
            break;
        case 8:
            use_up(node);
            break;
        case 9:
            node.manager->suspect(other.identity.id(), pair_.now);
            break;
        case 10:
            node.manager->close(other.identity.id());
            break;
        default:
            node.manager->remove_peer(other.identity.id());
            node.knows(other);
        }
        settle();
    }

    /** The adversary is gone: both must get to keys that fit. */
    void heal() {
        passes_ = true;
        pair_.records_pass = true;
        pair_.sent.clear();
        for (int i = 0; i < 300 && !pair_.agree(); ++i) {
            for (Node* node : {&pair_.a, &pair_.b}) {
                node->open(pair_.other(*node), pair_.now);
                // What a driver does when nothing comes back.
                node->manager->suspect(pair_.other(*node).identity.id(), pair_.now);
            }
            wait(1s, 100ms);
        }
        FUZZ_CHECK(pair_.agree());
    }

  private:
    void deliver(Node& to, ByteView datagram, std::uint8_t source) {
        Origin origin;
        origin.endpoint = {IpAddress::v4({10, 0, 0, source}), 6784};
        if ((source & 0x80) != 0) {
            origin.kind = Origin::Kind::relayed;
        }
        to.manager->on_datagram(datagram, origin, pair_.now);
    }

    /** An earlier datagram once more, perhaps changed, perhaps with its first MAC made good. */
    void repeat(Node& to, Input& input) {
        const std::uint8_t how = input.u8();
        if (pair_.sent.empty()) {
            return;
        }
        Bytes datagram = pair_.sent[pair_.sent.size() - 1 - input.u8() % pair_.sent.size()];
        for (int i = 0; i < (how & 3); ++i) {
            datagram[input.u8() % datagram.size()] ^= input.u8();
        }
        constexpr std::size_t kMacs = 2 * wire::kMacSize;
        if ((how & 4) != 0 && datagram.size() > kMacs) {
            const StaticHashKey key = mac1_key(to.identity.static_public());
            const ByteView before = ByteView{datagram}.first(datagram.size() - kMacs);
            const auto mac = crypto::keyed_mac16(key, before);
            std::copy(mac.begin(), mac.end(), datagram.end() - kMacs);
        }
        deliver(to, datagram, (how & 8) != 0 ? input.u8() : to.endpoint.address.bytes()[3]);
    }

    void use_up(Node& node) {
        if (node.sending) {
            node.manager->on_key_usage(*node.sending, std::uint64_t{1} << 34, pair_.now);
        }
    }

    void wait(Duration duration, Duration step) {
        const TimePoint end = pair_.now + duration;
        while (pair_.now < end) {
            pair_.now += step;
            for (Node* node : {&pair_.a, &pair_.b}) {
                node->manager->tick(pair_.now);
                FUZZ_CHECK(node->manager->next_deadline() > pair_.now);
            }
            settle();
        }
    }

    void settle() {
        pair_.pump();
        FUZZ_CHECK(pair_.a.keys.size() <= kMaxKeys && pair_.b.keys.size() <= kMaxKeys);
        for (Node* node : {&pair_.a, &pair_.b}) {
            FUZZ_CHECK(!node->sending || node->keys.contains(*node->sending));
            FUZZ_CHECK(!node->sending || node->usable(pair_.other(*node)));
        }
    }

    Pair pair_;
    bool passes_ = true;
};

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    restart_randomness();
    Input input({data, size});
    World world;
    for (int i = 0; i < kMaxOperations && !input.empty(); ++i) {
        world.step(input);
    }
    world.heal();
    return 0;
}
