// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/init.hpp"
#include "session/manager.hpp"

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace weave::session::test {

using namespace std::chrono_literals;

/** The same "random" bytes in every run. */
inline RandomSource seeded(std::uint64_t seed) {
    auto engine = std::make_shared<std::mt19937_64>(seed);
    return [engine](ByteSpan out) {
        for (std::uint8_t& byte : out) {
            byte = static_cast<std::uint8_t>((*engine)());
        }
    };
}

inline crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

/** The cluster secret of nodes that say nothing else: id and filling byte. */
inline std::vector<std::pair<std::uint32_t, std::uint8_t>> one_secret() {
    return std::vector<std::pair<std::uint32_t, std::uint8_t>>(1, {1, 0x51});
}

struct Options {
    Settings settings;
    std::vector<std::pair<std::uint32_t, std::uint8_t>> secrets = one_secret();
    std::uint8_t cluster = 1;
    std::vector<crypto::Suite> suites{crypto::Suite::chacha20poly1305};
    std::uint64_t epoch = 1;
};

/** One manager, and what its driver would have. */
struct Node {
    Node(std::uint8_t seed, const Options& options)
        : identity(crypto::Identity::from_seed(key_of(seed)))
        , endpoint{IpAddress::v4({10, 0, 0, seed}), 6784} {
        restart(options);
    }

    void restart(const Options& options) {
        Local local;
        local.identity = &identity;
        local.cluster_id.fill(options.cluster);
        for (const auto& [id, fill] : options.secrets) {
            local.secrets.push_back({id, key_of(fill)});
        }
        local.boot_epoch = options.epoch;
        local.suites = options.suites;
        keys.clear();
        sending.reset();
        manager = std::make_unique<Manager>(options.settings,
                                            std::move(local),
                                            seeded(endpoint.address.bytes()[3] + options.epoch));
    }

    void knows(const Node& other) {
        manager->set_peer(other.identity.id(), other.identity.static_public());
    }

    void open(const Node& other, TimePoint now) { manager->open(other.identity.id(), now); }

    [[nodiscard]] bool usable(const Node& other) const {
        return manager->usable(other.identity.id());
    }

    [[nodiscard]] int counted(const std::string& name) const {
        const auto found = counts.find(name);
        return found == counts.end() ? 0 : found->second;
    }

    crypto::Identity identity;
    Endpoint endpoint;
    std::unique_ptr<Manager> manager;
    std::map<std::uint32_t, std::shared_ptr<crypto::TransportKeys>> keys;
    std::optional<std::uint32_t> sending; ///< local index of the keys in use
    std::map<std::string, int> counts;
    std::vector<SessionDown> downs;
    std::uint32_t peer_takes = 0; ///< features of the newest session
    int promotes = 0;
    int installs = 0;
};

/** Two nodes with time and a wire between them. */
struct Pair {
    explicit Pair(const Options& left = {}, const Options& right = {})
        : a(1, left)
        , b(2, right) {
        crypto::init();
        a.knows(b);
        b.knows(a);
        // Most cases want to say which side wins when both initiate.
        low = a.identity.static_public() < b.identity.static_public() ? &a : &b;
        high = low == &a ? &b : &a;
    }

    Node& other(const Node& node) { return &node == &a ? b : a; }

    /** Carries out actions of both sides until nothing is left. */
    void pump() {
        for (bool busy = true; busy;) {
            busy = carry(a);
            busy = carry(b) || busy;
        }
    }

    /** Lets time pass in small steps, with ticks. */
    void pass(Duration duration, Duration step = 50ms) {
        const TimePoint end = now + duration;
        while (now < end) {
            now += step;
            a.manager->tick(now);
            b.manager->tick(now);
            pump();
        }
    }

    /** Lets time pass from deadline to deadline, and says how many there were. */
    int sleep(Duration duration) {
        const TimePoint end = now + duration;
        int wakes = 0;
        for (; now < end; ++wakes) {
            now = std::min({end, a.manager->next_deadline(), b.manager->next_deadline()});
            for (Node* node : {&a, &b}) {
                if (node->manager->next_deadline() <= now) {
                    node->manager->tick(now);
                }
            }
            pump();
        }
        return wakes;
    }

    void deliver(Node& to, ByteView datagram, const Endpoint& from) {
        Origin origin;
        origin.endpoint = from;
        to.manager->on_datagram(datagram, origin, now);
    }

    bool carry(Node& node) {
        const auto actions = node.manager->take_actions();
        for (const Action& action : actions) {
            std::visit([&](const auto& one) { perform(node, one); }, action);
        }
        return !actions.empty();
    }

    void perform(Node& node, const SendTo& send) { transmit(node, send.datagram); }

    void perform(Node& node, const Reply& reply) { transmit(node, reply.datagram); }

    void perform(Node& node, const Install& install) {
        ++node.installs;
        node.keys[install.keys->local_index] = install.keys;
        node.peer_takes = install.features;
        if (install.send_now) {
            node.sending = install.keys->local_index;
            first_record(node, *install.keys);
        }
    }

    void perform(Node& node, const Promote& promote) {
        ++node.promotes;
        node.sending = promote.local_index;
        first_record(node, *node.keys.at(promote.local_index));
    }

    void perform(Node& node, const Retire& retire) {
        node.keys.erase(retire.local_index);
        if (node.sending == retire.local_index) {
            node.sending.reset();
        }
    }

    void perform(Node& node, const SessionDown& down) { node.downs.push_back(down); }

    void perform(Node& node, const Counted& counted) { ++node.counts[std::string{counted.name}]; }

    /** A record under fresh keys: it opens where the peer has them. */
    void first_record(Node& node, const crypto::TransportKeys& keys) {
        Node& to = other(node);
        if (records_pass && to.keys.contains(keys.remote_index)) {
            to.manager->on_authenticated(keys.remote_index, now);
        }
    }

    void transmit(Node& node, const Bytes& datagram) {
        sent.push_back(datagram);
        if (!passes || passes(node, datagram)) {
            deliver(other(node), datagram, node.endpoint);
        }
    }

    /** Both send under keys that fit. */
    [[nodiscard]] bool agree() const {
        if (!a.sending || !b.sending) {
            return false;
        }
        const auto& left = *a.keys.at(*a.sending);
        const auto& right = *b.keys.at(*b.sending);
        return left.remote_index == right.local_index && right.remote_index == left.local_index &&
               left.suite == right.suite &&
               std::ranges::equal(left.send[0].view(), right.receive[0].view()) &&
               std::ranges::equal(right.send[0].view(), left.receive[0].view());
    }

    TimePoint now = TimePoint{} + 1h;
    Node a;
    Node b;
    Node* low = nullptr;
    Node* high = nullptr;
    bool records_pass = true;
    std::function<bool(const Node& from, const Bytes&)> passes;
    std::vector<Bytes> sent;
};

} // namespace weave::session::test
