// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/allocations.hpp"
#include "os/file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include <stdlib.h>

using namespace weave;
using namespace weave::daemon;
using namespace std::chrono_literals;

namespace {

NodeId node_of(std::uint8_t number) {
    NodeId node;
    node.octets.fill(number);
    return node;
}

struct Folder {
    Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }

    ~Folder() { std::filesystem::remove_all(path); }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path = "/tmp/weave-allocations-XXXXXX";
};

/** Nodes whose records reach all others that they are linked with, at once; time is virtual. */
struct World {
    struct Node {
        NodeId id;
        std::unique_ptr<Allocations> allocations;
        std::map<std::uint16_t, wire::RecordPtr> records;
        std::vector<std::string> notices;
    };

    /** Starts the node, or starts it again. */
    Node& start(std::uint8_t number, bool expects_others = false, bool ran_before = false) {
        Node& node = nodes[number];
        node.id = node_of(number);
        AllocationSettings settings(node.id, plan);
        settings.expects_others = expects_others;
        settings.ran_before = ran_before;
        settings.rest = rest;
        settings.lease = lease;
        settings.file = folder.path + "/" + std::to_string(number);
        settings.clock = [this] { return now; };
        settings.boot = "boot";
        AllocationEvents events;
        events.publish = [this, number](std::uint16_t kind, Bytes tlvs) {
            publish(number, kind, tlvs);
        };
        events.name_of = [](const NodeId& id) { return id.fingerprint(); };
        node.allocations = std::make_unique<Allocations>(std::move(settings), std::move(events));
        node.notices = node.allocations->take_notices();
        node.allocations->start();
        return node;
    }

    void publish(std::uint8_t number, std::uint16_t kind, const Bytes& tlvs) {
        const auto record =
            wire::sign_record(node_of(number), {}, {1, ++version}, kind, tlvs, [](ByteView) {
                return wire::RecordSignature{};
            });
        REQUIRE(record.has_value());
        nodes[number].records[kind] = std::make_shared<wire::Record>(*record);
        if (linked) {
            for (auto& [other, node] : nodes) {
                if (other != number && node.allocations && other != cut_off && number != cut_off) {
                    node.allocations->on_record(*record);
                }
            }
        }
    }

    void link() {
        linked = true;
        cut_off = 0;
        for (auto& [number, node] : nodes) {
            for (auto& [other, each] : nodes) {
                if (other != number && each.allocations) {
                    node.allocations->on_reachable(each.id, true);
                }
            }
            for (auto& [other, each] : nodes) {
                for (const auto& [kind, record] : each.records) {
                    if (other != number) {
                        node.allocations->on_record(*record);
                    }
                }
            }
        }
    }

    /** The node sees nobody, and nobody sees it. */
    void cut(std::uint8_t number) {
        for (auto& [other, node] : nodes) {
            for (auto& [each, peer] : nodes) {
                const bool apart = other == number || each == number;
                if (each != other) {
                    node.allocations->on_reachable(peer.id, !apart);
                }
            }
        }
        cut_off = number;
    }

    void pass(Duration time) {
        for (const TimePoint end = now + time; now < end;) {
            now += 50ms;
            for (auto& [number, node] : nodes) {
                if (node.allocations) {
                    node.allocations->tick();
                }
            }
        }
    }

    /** What it got, or the code of the refusal; empty while it waits. */
    std::string obtain(std::uint8_t number, const std::string& holder, const std::string& what) {
        const auto answer = ask(number, holder, what);
        for (int i = 0; answer->empty() && i < 12; ++i) {
            pass(500ms);
        }
        return *answer;
    }

    std::shared_ptr<std::string>
    ask(std::uint8_t number, const std::string& holder, const std::string& what) {
        const auto answer = std::make_shared<std::string>();
        std::vector<ipam::Request> requests;
        std::istringstream words(what);
        for (std::string word; words >> word;) {
            requests.push_back(*ipam::parse_request(word));
        }
        nodes[number].allocations->obtain(
            holder, requests, 5s, [answer](Allocations::Obtained obtained) {
                if (const auto* refused = std::get_if<NoAddress>(&obtained)) {
                    *answer = refused->code;
                    return;
                }
                for (const Prefix& prefix : std::get<Grant>(obtained).addresses) {
                    *answer += (answer->empty() ? "" : " ") + prefix.text();
                }
            });
        return answer;
    }

    static ipam::Plan make_plan() {
        ipam::Plan plan(*Prefix::parse("10.7.0.0/28"), std::nullopt);
        plan.add_v6(*IpAddress::parse("fd07::"));
        return plan;
    }

    Folder folder;
    ipam::Plan plan = make_plan();
    TimePoint now{1h};
    std::uint64_t version = 0;
    Duration lease = 1h;
    Duration rest{};
    bool linked = false;
    std::uint8_t cut_off = 0; ///< none
    std::map<std::uint8_t, Node> nodes;
};

/** Node 1 has 10.7.0.5 and says so, which this returns. */
wire::Addresses take_on_first_of_two(World& world) {
    world.start(1);
    world.start(2, /*expects_others=*/true);
    world.link();
    CHECK(world.obtain(1, "c:x", "ip:10.7.0.5").starts_with("10.7.0.5"));
    wire::Addresses said;
    said.reserved.push_back(*IpAddress::parse("10.7.0.5"));
    world.publish(1, wire::kAddressesKind, wire::encode_addresses(said));
    return said;
}

} // namespace

TEST_CASE("a node alone hands out at once, one address of each family") {
    World world;
    world.start(1);
    const std::string got = world.obtain(1, "p:a/eth0", "net:default");
    CHECK(got.starts_with("10.7.0."));
    CHECK(got.find("/28 fd07::") != std::string::npos);
    CHECK(world.obtain(1, "p:a/eth0", "net:default") == got);
    CHECK(world.obtain(1, "p:b/eth0", "10.9.9.9/24") == "10.9.9.9/24"); // nobody's to give
    CHECK(world.obtain(1, "p:b/eth0", "net:10.9.0.0/24") == "invalid");
    CHECK(world.obtain(1, "p:b/eth0", "ip:10.7.0.15") == "invalid");
    CHECK(world.obtain(1, "p:b/eth0", "10.7.0.15/28") == "invalid");
}

TEST_CASE("several addresses at a time: each has a place, and each place counts once") {
    World world;
    world.start(1);
    const std::string two = world.obtain(1, "p:a/eth0", "net:default net:10.7.0.8/29");
    CHECK(world.nodes[1].allocations->allocator().leases().held_by("p:a/eth0").size() == 2);
    CHECK(world.obtain(1, "p:a/eth0", "net:default net:10.7.0.8/29") == two);
    CHECK(world.obtain(1, "p:b/eth0", "ip:10.7.0.3/28 ip:fd07::3") == "10.7.0.3/28 fd07::3/124");
    CHECK(world.obtain(1, "p:c/eth0", "net:10.7.0.8/29 net:fd07::8/125").find("/125") !=
          std::string::npos);
    CHECK(world.nodes[1].allocations->allocator().leases().held_by("p:c/eth0").size() == 1);
    CHECK(world.obtain(1, "p:d/eth0", "ip:10.7.0.4/29") == "10.7.0.4/29 fd07::4/125");
}

TEST_CASE("what a program or a person has on another node is in use there") {
    World world;
    take_on_first_of_two(world);
    CHECK(world.obtain(2, "c:y", "ip:10.7.0.5") == "conflict");
}

TEST_CASE("that an address is free again may be told a moment after it is asked for") {
    World world;
    const wire::Addresses said = take_on_first_of_two(world);
    const auto answer = world.ask(2, "c:y", "ip:10.7.0.5");
    world.pass(500ms);
    CHECK(answer->empty());
    world.nodes[1].allocations->release("c:x");
    world.publish(1, wire::kAddressesKind, wire::encode_addresses({}));
    world.pass(500ms);
    CHECK(answer->starts_with("10.7.0.5"));

    world.publish(2, wire::kAddressesKind, wire::encode_addresses(said));
    const auto refused = world.ask(1, "c:x", "ip:10.7.0.5");
    world.pass(2s);
    CHECK(*refused == "conflict"); // long before it stops waiting for a node
}

TEST_CASE("who hands out of another range is told") {
    World world;
    world.start(1);
    world.plan = ipam::Plan(*Prefix::parse("10.7.0.0/24"), std::nullopt);
    world.start(2);
    world.obtain(1, "p:a/eth0", "net:default");
    world.obtain(2, "p:a/eth0", "net:default");
    world.link();
    const auto said = world.nodes[1].allocations->other_ranges();
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("of 10.7.0.0/24, this one of 10.7.0.0/28") != std::string::npos);
    world.cut(2);
    CHECK(world.nodes[1].allocations->other_ranges().empty());
}

TEST_CASE("space comes from the other node, and ends when both have none") {
    World world;
    world.start(1);
    world.obtain(1, "p:first/eth0", "net:default");
    world.start(2, /*expects_others=*/true);
    world.link();
    std::set<std::string> all;
    for (int i = 0; i < 13; ++i) {
        const std::string got = world.obtain(
            std::uint8_t(i % 2 == 0 ? 2 : 1), "p:" + std::to_string(i) + "/eth0", "net:default");
        CAPTURE(i);
        CHECK(got.starts_with("10.7.0."));
        CHECK(all.insert(got).second);
    }
    CHECK(world.obtain(2, "p:one-more/eth0", "net:default") == "exhausted");
    CHECK(world.nodes[1].allocations->release("p:1/eth0").size() == 1);
    world.pass(10s); // who was asked in vain is asked again after a while
    CHECK(world.obtain(2, "p:one-more/eth0", "net:default").starts_with("10.7.0."));
}

TEST_CASE("a given address waits until its owner is connected, and moves there at once") {
    World world;
    world.rest = 60s;
    world.start(1);
    const std::string pair = world.obtain(1, "p:a/eth0", "net:default");
    const std::string given = "ip:" + pair.substr(0, pair.find('/'));
    world.start(2, /*expects_others=*/true);
    world.link();
    CHECK(world.obtain(2, "p:b/eth0", "net:default").starts_with("10.7.0."));
    world.pass(10s);
    world.nodes[1].allocations->release("p:a/eth0");
    world.cut(2);
    CHECK(world.obtain(2, "p:c/eth0", given) == "unavailable"); // for as long as one waits
    const auto answer = world.ask(2, "p:c/eth0", given);
    world.pass(1s);
    CHECK(answer->empty());
    world.link();
    world.pass(1s);
    CHECK(answer->starts_with(given.substr(3))); // it rests still
}

TEST_CASE("whoever is deleted while it waits gets nothing, and leaves nothing") {
    World world;
    world.start(1);
    world.start(2, /*expects_others=*/true);
    const auto answer = world.ask(2, "i:net/c/eth0", "net:default");
    CHECK(answer->empty());
    world.nodes[2].allocations->release("i:net/c/eth0");
    CHECK(*answer == "not_found");
    world.link();
    world.pass(10s);
    CHECK(world.nodes[2].allocations->holders().empty());
}

TEST_CASE("of two requests of one holder a failure of the second leaves the first its address") {
    World world;
    world.start(1);
    world.start(2, /*expects_others=*/true);
    std::vector<Grant> grants;
    for (int i = 0; i < 2; ++i) {
        world.nodes[2].allocations->obtain(
            "x:host", {ipam::Request{}}, 30s, [&](Allocations::Obtained obtained) {
                grants.push_back(std::get<Grant>(obtained));
            });
    }
    world.obtain(1, "p:a/eth0", "net:default");
    world.link();
    world.pass(10s);
    REQUIRE(grants.size() == 2);
    CHECK(grants[0].addresses == grants[1].addresses);
    CHECK(grants[0].fresh.size() == 1);
    CHECK(grants[1].fresh.empty());
}

TEST_CASE("what was answered is on disk, over a restart") {
    World world;
    world.start(1);
    const std::string got = world.obtain(1, "p:a/eth0", "net:default");
    world.start(1, false, true);
    CHECK(world.nodes[1].notices.empty());
    CHECK(world.nodes[1].allocations->holders() == std::vector<std::string>{"p:a/eth0"});
    CHECK(world.obtain(1, "p:a/eth0", "net:default") == got);
    CHECK(world.obtain(1, "p:b/eth0", "net:default") != got);
}

TEST_CASE("a disk that cannot be written gives no address") {
    World world;
    world.start(1);
    std::filesystem::remove_all(world.folder.path);
    CHECK(world.obtain(1, "p:a/eth0", "net:default") == "internal");
    CHECK(world.nodes[1].allocations->holders().empty());
    REQUIRE(std::filesystem::create_directory(world.folder.path));
    CHECK(world.obtain(1, "p:a/eth0", "net:default").starts_with("10.7.0."));
}

TEST_CASE("a damaged file is kept aside: pods keep what they have, and space comes from others") {
    World world;
    world.start(1);
    world.start(2, /*expects_others=*/true);
    const std::string got = world.obtain(1, "p:a/eth0", "ip:10.7.0.5");
    world.link();
    CHECK(world.obtain(2, "p:b/eth0", "net:default").starts_with("10.7.0."));
    world.pass(10s);
    {
        std::fstream file(world.folder.path + "/1", std::ios::in | std::ios::out);
        file.seekp(9);
        file.put('x');
    }
    world.start(1, /*expects_others=*/true, /*ran_before=*/true);
    REQUIRE(world.nodes[1].notices.size() == 1);
    CHECK(world.nodes[1].notices[0].find("was damaged and is kept as") != std::string::npos);
    CHECK(std::filesystem::exists(world.folder.path + "/1.corrupt"));
    Allocations& again = *world.nodes[1].allocations;
    again.claim_in_use("p:a/eth0", {*Prefix::parse("10.7.0.5/28")});
    world.link();
    CHECK(world.obtain(1, "p:a/eth0", "net:default") == got);
    world.pass(15s); // until all have agreed that what it had is void
    const std::string other = world.obtain(1, "p:c/eth0", "net:default");
    CHECK(other.starts_with("10.7.0."));
    CHECK(other != got);
}

TEST_CASE("who sees too few of the others says so, and why nothing is given") {
    World world;
    world.lease = 10s;
    for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
        world.start(number, number > 1);
    }
    world.obtain(1, "p:a/eth0", "net:default");
    world.link();
    world.pass(20s);
    CHECK(world.nodes[3].allocations->status().at("members").at("members") == 3);
    CHECK(world.nodes[3].allocations->not_ready().empty());
    world.cut(3);
    world.pass(20s);
    CHECK(world.obtain(3, "p:b/eth0", "net:default") == "unavailable");
    CHECK(world.nodes[3].allocations->not_ready().find("sees 1 of 3 members") != std::string::npos);
    CHECK(world.obtain(1, "p:b/eth0", "net:default").starts_with("10.7.0."));
    CHECK(world.nodes[1].allocations->status().at("members").at("absent").size() == 1);
    CHECK(world.nodes[1].allocations->remove(node_of(3)) < 16);
    world.link();
    world.pass(30s); // it looks twice before it believes that all is well again
    CHECK(world.obtain(3, "p:b/eth0", "net:default").starts_with("10.7.0."));
}

TEST_CASE("an address that two nodes gave out apart is told on both, and one of them keeps it") {
    World world;
    world.start(1);
    world.start(2);
    for (const std::uint8_t number : {std::uint8_t{1}, std::uint8_t{2}}) {
        CHECK(world.obtain(number, "p:a/eth0", "ip:10.7.0.5").starts_with("10.7.0.5/28"));
        wire::Addresses used;
        used.prefixes.push_back(*Prefix::parse("10.7.0.5/32"));
        world.publish(number, wire::kAddressesKind, wire::encode_addresses(used));
    }
    world.link();
    const auto one = world.nodes[1].allocations->allocator().conflicts();
    const auto two = world.nodes[2].allocations->allocator().conflicts();
    REQUIRE(one.size() == 1);
    REQUIRE(two.size() == 1);
    CHECK(one[0].ours != two[0].ours);
}
