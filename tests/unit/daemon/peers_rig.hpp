// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/init.hpp"
#include "daemon/peers.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/** Two hosts' peers and lanes in one process: real sockets on loopback, a socket pair for each TAP.
 */
namespace weave::daemon::test {

using namespace std::chrono_literals;

inline const IpAddress kLoopback = IpAddress::v4({127, 0, 0, 1});

inline crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

/** A UDP socket on a port of its own: what arrives can be counted, or the port given to a host. */
struct Socket {
    Socket()
        : fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* plain = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(fd.get(), plain, size) == 0);
        REQUIRE(::getsockname(fd.get(), plain, &size) == 0);
        port = ntohs(address.sin_port);
    }

    /** Takes what has arrived and counts the datagrams of one type. */
    [[nodiscard]] int take(wire::DatagramType type) const {
        int found = 0;
        std::array<std::uint8_t, 2048> bytes{};
        while (::recv(fd.get(), bytes.data(), bytes.size(), 0) > 0) {
            found += bytes[0] == static_cast<std::uint8_t>(type) ? 1 : 0;
        }
        return found;
    }

    void send(const Endpoint& to, ByteView bytes) const {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(to.port);
        const auto* plain = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::sendto(fd.get(), bytes.data(), bytes.size(), 0, plain, sizeof address) > 0);
    }

    os::UniqueFd fd;
    std::uint16_t port = 0;
};

inline session::Local local_of(const crypto::Identity& identity) {
    session::Local local;
    local.identity = &identity;
    local.secrets.push_back({1, key_of(0x51)});
    local.boot_epoch = 1;
    return local;
}

struct Host {
    explicit Host(std::uint8_t seed,
                  const session::Settings& settings = {},
                  const session::PathSettings& paths = {})
        : ciphers(crypto::choose_ciphers(crypto::Provider::sodium))
        , identity(crypto::Identity::from_seed(key_of(seed)))
        , mac{{2, 0, 0, 0, 0, seed}}
        , endpoint{kLoopback, Socket{}.port}
        , lanes(io, open_sockets({endpoint.port, {kLoopback}}, make_tap(), false), false) {
        make_peers(settings, paths);
        start();
    }

    /** Another process of the same node, with what that one has open; its lanes do not run yet. It
     * has picked other ciphers where there are some. */
    Host(std::uint8_t seed, const Host& before)
        : ciphers(crypto::choose_ciphers(crypto::Provider::openssl))
        , identity(crypto::Identity::from_seed(key_of(seed)))
        , mac(before.mac)
        , other_mac(before.other_mac)
        , other(before.other)
        , endpoint(before.endpoint)
        , pod(::dup(before.pod.get()))
        , lanes(io, copies_of(before.lanes.descriptors()), false) {
        make_peers({}, {});
    }

    static LaneDescriptors copies_of(const LaneDescriptors& open) {
        LaneDescriptors out;
        out.tap.queues.emplace_back(::dup(open.tap.queues.front().get()));
        out.udp4.push_back(os::UdpSocket::adopt(os::UniqueFd{::dup(open.udp4.front().fd())}));
        return out;
    }

    void make_peers(const session::Settings& settings, const session::PathSettings& paths) {
        PeerEvents events;
        events.on_direct = [](const NodeId&, bool) {};
        events.interface_mtu = [](const Endpoint&) { return std::uint16_t{1500}; };
        events.fast_hop = [](const Endpoint&, const IpAddress&) { return dataplane::FastHop{}; };
        events.on_table_changed = [this] { publish(); };
        events.publish_now = [this] {
            ++published_at_once;
            publish();
        };
        peers = std::make_unique<Peers>(
            lanes, settings, local_of(identity), ciphers, paths, std::move(events));
        publish();
    }

    void start() {
        lanes.start([this](const dataplane::Punt& punt) { peers->on_punt(punt, now()); });
    }

    ~Host() { lanes.stop(); }

    os::Tap make_tap() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
        pod.reset(ends[1]);
        os::Tap tap;
        tap.queues.emplace_back(ends[0]);
        return tap;
    }

    void publish() {
        dataplane::Snapshot snapshot;
        snapshot.peers = peers->table();
        std::vector<dataplane::AddressChange> changes{{mac, dataplane::kLocalPeer}};
        if (const auto index = peers->index_of(other); index != dataplane::kNoPeer) {
            changes.push_back({other_mac, index});
        }
        snapshot.addresses =
            std::make_shared<dataplane::AddressTable>(dataplane::AddressTable{}.with(changes));
        dataplane::Settings settings;
        settings.own_relay = relay_address(identity.id());
        snapshot.settings = std::make_shared<dataplane::Settings>(settings);
        lanes.cell().publish(std::move(snapshot));
        peers->on_published();
    }

    void knows(const crypto::Identity& node, std::vector<Endpoint> endpoints) {
        other = node.id();
        mesh::NodeInfo info;
        info.id = other;
        info.static_key = node.static_public();
        info.endpoints = std::move(endpoints);
        info.epoch = 1;
        info.watched = watches;
        peers->on_node(info, now());
    }

    void knows(const Host& node, std::vector<Endpoint> endpoints) {
        other_mac = node.mac;
        knows(node.identity, std::move(endpoints));
    }

    /** A pod's frame to the other host's pod, as the TAP hands it over. */
    void send_frame() const {
        std::array<std::uint8_t, os::kVnetHeaderSize + 60> bytes{};
        auto at = std::copy(
            other_mac.octets.begin(), other_mac.octets.end(), bytes.begin() + os::kVnetHeaderSize);
        at = std::copy(mac.octets.begin(), mac.octets.end(), at);
        *at = 0x88; // 0x88b5: for local experiments
        *(at + 1) = 0xb5;
        REQUIRE(::send(pod.get(), bytes.data(), bytes.size(), 0) > 0);
    }

    void turn() {
        peers->tick(now());
        io.poll();
        io.restart();
    }

    [[nodiscard]] TimePoint now() const { return Clock::now() + ahead; }

    [[nodiscard]] bool has_session() const {
        const auto rows = peers->view(now());
        return !rows.empty() && rows.front().suite.has_value();
    }

    [[nodiscard]] std::uint64_t counted(const char* name) const {
        const auto entry = peers->counted().find(name);
        return entry == peers->counted().end() ? 0 : entry->second;
    }

    boost::asio::io_context io{1};
    crypto::Ciphers ciphers;
    crypto::Identity identity;
    MacAddress mac;
    MacAddress other_mac;
    NodeId other;
    /** Whether it is to watch those it knows, as in a small mesh. */
    bool watches = true;
    Endpoint endpoint;
    os::UniqueFd pod;
    unsigned published_at_once = 0;
    /** How far the control thread's clock is ahead of that of the lanes. */
    Duration ahead{};
    Lanes lanes;
    std::unique_ptr<Peers> peers;
};

/** Turns the hosts' control threads until `done` holds; false when it never does. */
inline bool until(const std::vector<Host*>& hosts, const std::function<bool()>& done) {
    for (int i = 0; i < 2000; ++i) {
        if (done()) {
            return true;
        }
        for (Host* host : hosts) {
            host->turn();
        }
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

/** Two hosts that send under each other's keys. */
struct Two {
    explicit Two(const session::Settings& settings = {}, const session::PathSettings& paths = {})
        : a(1, settings, paths)
        , b(2, settings, paths) {
        a.knows(b, {b.endpoint});
        b.knows(a, {a.endpoint});
        REQUIRE(until({&a, &b}, [&] { return a.has_session() && b.has_session(); }));
    }

    Host a;
    Host b;
};

} // namespace weave::daemon::test
