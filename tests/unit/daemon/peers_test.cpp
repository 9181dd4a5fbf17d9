// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Two hosts' peers and lanes in one process: real sockets on loopback, a socket pair for each TAP.
#include "crypto/init.hpp"
#include "daemon/peers.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace weave;
using namespace weave::daemon;
using namespace std::chrono_literals;

namespace {

const IpAddress kLoopback = IpAddress::v4({127, 0, 0, 1});

crypto::Key32 key_of(std::uint8_t fill) {
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

session::Local local_of(const crypto::Identity& identity) {
    session::Local local;
    local.identity = &identity;
    local.secrets.push_back({1, key_of(0x51)});
    local.boot_epoch = 1;
    return local;
}

struct Host {
    explicit Host(std::uint8_t seed, session::Settings settings = {})
        : ciphers(crypto::choose_ciphers(crypto::Provider::sodium))
        , identity(crypto::Identity::from_seed(key_of(seed)))
        , mac{{2, 0, 0, 0, 0, seed}}
        , endpoint{kLoopback, Socket{}.port}
        , lanes(io, open_sockets({endpoint.port, {kLoopback}}, make_tap(), false), false) {
        make_peers(settings);
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
        make_peers({});
    }

    static LaneDescriptors copies_of(const LaneDescriptors& open) {
        LaneDescriptors out;
        out.tap.queues.emplace_back(::dup(open.tap.queues.front().get()));
        out.udp4.push_back(os::UdpSocket::adopt(os::UniqueFd{::dup(open.udp4.front().fd())}));
        return out;
    }

    void make_peers(const session::Settings& settings) {
        PeerEvents events;
        events.on_direct = [](const NodeId&, bool) {};
        events.interface_mtu = [](const Endpoint&) { return std::uint16_t{1500}; };
        events.fast_hop = [](const Endpoint&, const IpAddress&) { return dataplane::FastHop{}; };
        events.on_table_changed = [this] { publish(); };
        events.publish_now = [this] {
            ++published_at_once;
            publish();
        };
        peers = std::make_unique<Peers>(lanes,
                                        settings,
                                        local_of(identity),
                                        ciphers,
                                        session::PathSettings{},
                                        std::move(events));
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
    Endpoint endpoint;
    os::UniqueFd pod;
    unsigned published_at_once = 0;
    /** How far the control thread's clock is ahead of that of the lanes. */
    Duration ahead{};
    Lanes lanes;
    std::unique_ptr<Peers> peers;
};

/** Turns the hosts' control threads until `done` holds; false when it never does. */
bool until(const std::vector<Host*>& hosts, const std::function<bool()>& done) {
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
    explicit Two(session::Settings settings = {})
        : a(1, settings)
        , b(2, settings) {
        a.knows(b, {b.endpoint});
        b.knows(a, {a.endpoint});
        REQUIRE(until({&a, &b}, [&] { return a.has_session() && b.has_session(); }));
    }

    Host a;
    Host b;
};

} // namespace

TEST_CASE("who learns of many nodes at once shakes hands with some after the other") {
    crypto::init();
    const Socket nowhere;
    Host host(1);
    for (std::uint8_t seed = 10; seed < 210; ++seed) {
        host.knows(crypto::Identity::from_seed(key_of(seed)), {{kLoopback, nowhere.port}});
    }
    CHECK(host.counted("session_init_sent") == 64);
    CHECK(until({&host}, [&] { return host.counted("session_init_sent") >= 200; }));
}

TEST_CASE("a session that comes up is published with whatever else changed, not alone") {
    crypto::init();
    const Two two;
    CHECK(two.a.published_at_once == 0);
    CHECK(two.b.published_at_once == 0);
}

TEST_CASE("new keys make every way to the peer be probed at once") {
    crypto::init();
    const Socket elsewhere;
    Host a(1);
    Host b(2);
    a.knows(b, {b.endpoint, {kLoopback, elsewhere.port}});
    for (int i = 0; i < 100; ++i) { // nothing can be probed without keys: the pace slows down
        a.ahead += 100ms;
        a.turn();
    }
    CHECK(elsewhere.take(wire::DatagramType::data) == 0);
    b.knows(a, {a.endpoint});
    REQUIRE(until({&a, &b}, [&] { return a.has_session() && b.has_session(); }));
    a.turn();
    CHECK(until({&b}, [&] { return elsewhere.take(wire::DatagramType::data) > 0; }));
}

TEST_CASE("a handshake's first message, perhaps a replay, makes no way to the peer") {
    crypto::init();
    Host host(2);
    auto peer = crypto::Identity::from_seed(key_of(3));
    // Both initiate: the lower key's handshake is answered.
    for (std::uint8_t seed = 4; host.identity.static_public() < peer.static_public(); ++seed) {
        peer = crypto::Identity::from_seed(key_of(seed));
    }
    host.knows(peer, {});
    session::Manager sessions({}, local_of(peer), crypto::random_bytes);
    sessions.set_peer(host.identity.id(), host.identity.static_public());
    sessions.open(host.identity.id(), host.now());
    const Socket stranger;
    for (const session::Action& action : sessions.take_actions()) {
        if (const auto* send = std::get_if<session::SendTo>(&action)) {
            stranger.send(host.endpoint, send->datagram);
        }
    }
    REQUIRE(until({&host}, [&] { return host.peers->handshakes() == 1; }));
    CHECK(host.peers->view(host.now()).front().use.kind == session::Use::Kind::none);
    CHECK_FALSE(host.peers->reaches(peer.id()));
    CHECK(until({&host}, [&] { return stranger.take(wire::DatagramType::response) == 1; }));
}

TEST_CASE("a peer that says goodbye has no session any more") {
    crypto::init();
    Two hosts;
    hosts.b.peers->say_goodbye();
    hosts.b.lanes.stop();
    CHECK(until({&hosts.a}, [&] { return !hosts.a.has_session(); }));
}

TEST_CASE("a peer that is sent to and not heard for ten seconds is suspected") {
    crypto::init();
    for (const bool sent : {false, true}) {
        Two hosts;
        hosts.b.lanes.stop();
        if (sent) {
            hosts.a.send_frame();
            REQUIRE(until({&hosts.a}, [&] {
                return hosts.a.peers->view(hosts.a.now()).front().totals.tx_packets == 1;
            }));
        }
        CHECK(hosts.a.counted("session_suspected") == 0);
        hosts.a.ahead = 11s;
        hosts.a.turn();
        CHECK(hosts.a.counted("session_suspected") == (sent ? 1 : 0));
        CHECK(hosts.a.has_session());
    }
}

TEST_CASE("a peer that was quiet is probed at once when what is sent to it is not answered") {
    crypto::init();
    for (const bool sent : {false, true}) {
        Two hosts;
        REQUIRE(until({&hosts.a, &hosts.b},
                      [&] { return hosts.a.peers->reaches(hosts.b.identity.id()); }));
        // Until nothing is searched for any more: what is due then is a probe every other second.
        for (int i = 0; i < 400; ++i) {
            hosts.a.ahead += 50ms;
            hosts.a.turn();
            hosts.b.turn();
            std::this_thread::sleep_for(1ms);
        }
        // One of them has just been answered.
        const auto heard = [&] { return hosts.a.peers->view(hosts.a.now()).front().totals.last_rx; };
        REQUIRE(until({&hosts.a, &hosts.b}, [&, before = heard()] {
            hosts.a.ahead += 50ms;
            return heard() != before;
        }));
        REQUIRE(hosts.a.peers->reaches(hosts.b.identity.id()));
        hosts.b.lanes.stop(); // it answers nothing any more
        if (sent) {
            hosts.a.send_frame();
            REQUIRE(until({&hosts.a}, [&] {
                return hosts.a.peers->view(hosts.a.now()).front().totals.tx_packets == 1;
            }));
        }
        // 170 ms without an answer and three probes 130 ms apart are enough to know.
        for (int i = 0; i < 13; ++i) {
            hosts.a.ahead += 50ms;
            hosts.a.turn();
        }
        CHECK(hosts.a.peers->reaches(hosts.b.identity.id()) == !sent);
    }
}

TEST_CASE("too many forged records bring new keys") {
    crypto::init();
    session::Settings few;
    few.max_failed_opens = 50;
    Two hosts(few);
    const auto table = hosts.a.peers->table();
    const std::uint32_t index = table->all().front().session->local_index();
    const std::uint64_t before = hosts.a.peers->handshakes();
    const Socket forger;
    for (std::uint64_t counter = 1000; counter < 1060; ++counter) {
        std::array<std::uint8_t, 64> record{};
        wire::put_data_header(record.data(), index, 0);
        wire::store_u64(record.data() + wire::kDataCounterOffset, counter);
        forger.send(hosts.a.endpoint, record);
    }
    CHECK(until({&hosts.a, &hosts.b}, [&] {
        return hosts.a.counted("session_forgery_limit") == 1 &&
               hosts.a.peers->handshakes() > before && hosts.a.has_session();
    }));
}

namespace {

std::size_t frames_at(const Host& host) {
    std::size_t count = 0;
    std::array<std::uint8_t, 256> bytes{};
    while (::recv(host.pod.get(), bytes.data(), bytes.size(), 0) > 0) {
        ++count;
    }
    return count;
}

} // namespace

TEST_CASE("another process goes on with the keys of this one, and the peer does not notice") {
    crypto::init();
    Two hosts;
    hosts.a.send_frame();
    REQUIRE(until({&hosts.a, &hosts.b}, [&] { return frames_at(hosts.b) == 1; }));
    const std::uint64_t handshakes = hosts.b.peers->handshakes();

    Host next(1, hosts.a);
    next.ahead = 60s; // the keys are a minute old
    Handover handover;
    hosts.a.peers->describe(handover);
    auto read = decode_handover(encode_handover(handover));
    REQUIRE(read.has_value());
    next.peers->take_over(std::move(*read), next.now());
    next.knows(hosts.b, {hosts.b.endpoint});
    hosts.a.send_frame(); // before it stops
    hosts.a.lanes.halt();
    hosts.a.send_frame(); // after it
    next.peers->take_over(*decode_progress(encode_progress(hosts.a.peers->hand_over())));
    next.publish();
    hosts.b.lanes.halt(); // the peer is silent
    next.start();
    next.send_frame();
    REQUIRE(until({&next},
                  [&] { return next.peers->view(next.now()).front().totals.tx_packets == 2; }));
    next.turn();
    // What the process before heard is not known: silence counts from now on.
    CHECK(next.counted("session_suspected") == 0);
    hosts.b.lanes.go_on();
    std::size_t arrived = 0;
    CHECK(until({&next, &hosts.b}, [&] { return (arrived += frames_at(hosts.b)) == 3; }));
    hosts.b.send_frame();
    CHECK(until({&next, &hosts.b}, [&] { return frames_at(next) == 1; }));
    CHECK(next.peers->handshakes() == 0);
    CHECK(hosts.b.peers->handshakes() == handshakes);
    CHECK(next.peers->view(next.now()).front().use.kind == session::Use::Kind::direct);
}

TEST_CASE("what a lane heard and could not tell any more counts for the next process") {
    crypto::init();
    Host a(1);
    // Both initiate: the lower key's handshake is answered.
    std::uint8_t seed = 2;
    while (crypto::Identity::from_seed(key_of(seed)).static_public() < a.identity.static_public()) {
        ++seed;
    }
    Host b(seed);
    b.knows(a, {});
    a.knows(b, {b.endpoint});
    REQUIRE(until({&a, &b}, [&] { return b.peers->handshakes() == 1; }));
    REQUIRE_FALSE(b.has_session()); // a first record has to come
    REQUIRE(until({&a}, [&] { return a.has_session(); }));
    REQUIRE(until({&a}, [&] { return b.lanes.counters(0).records_opened.value() != 0; }));

    Host next(seed, b);
    Handover handover;
    b.peers->describe(handover);
    next.peers->take_over(std::move(handover), next.now());
    next.knows(a, {});
    b.lanes.halt();
    next.peers->take_over(b.peers->hand_over());
    next.publish();
    next.start();
    CHECK(next.has_session());
    CHECK(until({&a, &next}, [&] {
        next.send_frame();
        return frames_at(a) > 0;
    }));
    CHECK(next.peers->handshakes() == 0);
}

TEST_CASE("keys that were given to nobody are replaced") {
    crypto::init();
    Two hosts;
    hosts.a.lanes.halt();
    const HandoverProgress lost = hosts.a.peers->hand_over();
    CHECK(lost.size() >= 1);
    hosts.a.lanes.go_on();
    const std::uint64_t before = hosts.a.peers->handshakes();
    hosts.a.peers->renew(hosts.a.now());
    REQUIRE(until({&hosts.a, &hosts.b},
                  [&] { return hosts.a.has_session() && hosts.a.peers->handshakes() > before; }));
    hosts.a.send_frame();
    CHECK(until({&hosts.a, &hosts.b}, [&] { return frames_at(hosts.b) == 1; }));
}
