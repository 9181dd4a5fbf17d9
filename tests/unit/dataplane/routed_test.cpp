// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Frames to the router's MAC: the sender goes by address, the receiver puts a MAC of its bridge in.
#include "frames.hpp"
#include "node.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace weave::dataplane::test {

TEST_CASE("routed frames go by address and get the bridge's MAC") {
    Node a{1};
    Node b{2};
    join(a, b);
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    const AddressChange route{*Prefix::parse("10.40.0.0/16"), 0};
    a.addresses = a.addresses.with({&route, 1});
    a.settings.router_mac = b.settings.router_mac = router;
    b.settings.bridge_mac = *MacAddress::parse("02:00:00:00:bb:bb");
    a.publish();
    b.publish();
    FrameSpec spec = from_a_to_b(a, b);
    spec.to = router;
    spec.destination = *IpAddress::parse("10.40.3.4");
    a.pod_sends(tap_message(spec, pattern(64), 0));
    spec.destination = *IpAddress::parse("10.41.3.4");
    a.pod_sends(tap_message(spec, pattern(64), 0));
    a.step();
    b.step();
    const auto frames = delivered(b);
    REQUIRE(frames.size() == 1);
    CHECK(mac_at(frames[0].data()) == b.settings.bridge_mac);
    CHECK(checksums_are_right(frames[0]));
    CHECK(a.dropped(Drop::no_route) == 1);
}

TEST_CASE("routed frames for a pod on the bridge get that pod's MAC") {
    Node a{1};
    Node b{2};
    join(a, b);
    const MacAddress router = *MacAddress::parse("02:77:76:00:00:01");
    a.settings.router_mac = b.settings.router_mac = router;
    b.settings.bridge_mac = *MacAddress::parse("02:00:00:00:bb:bb");
    const MacAddress elsewhere = *MacAddress::parse("02:00:00:00:00:77");
    const std::vector<AddressChange> bs{
        {*Prefix::parse("10.32.7.1/32"), kLocalPeer, b.pod_mac},
        {*Prefix::parse("10.32.7.2/32"), kLocalPeer},   // routed: it has no MAC on the bridge
        {*Prefix::parse("10.32.7.3/32"), 0, elsewhere}, // of another node
        {*Prefix::parse("fd32::7:1/128"), kLocalPeer, b.pod_mac},
    };
    b.addresses = b.addresses.with(bs);
    std::vector<AddressChange> as;
    for (const AddressChange& each : bs) {
        as.push_back({each.address, 0});
    }
    a.addresses = a.addresses.with(as);
    a.publish();
    b.publish();
    const auto arrives_for = [&](const char* destination) {
        FrameSpec spec = from_a_to_b(a, b);
        spec.to = router;
        spec.destination = *IpAddress::parse(destination);
        if (!spec.destination.is_v4()) {
            spec.source = *IpAddress::parse("fe80::1");
        }
        a.pod_sends(tap_message(spec, pattern(64), 0));
        a.step();
        b.step();
        const auto frames = delivered(b);
        REQUIRE(frames.size() == 1);
        CHECK(checksums_are_right(frames[0]));
        return mac_at(frames[0].data());
    };
    CHECK(arrives_for("10.32.7.1") == b.pod_mac);
    CHECK(arrives_for("fd32::7:1") == b.pod_mac);
    CHECK(arrives_for("10.32.7.2") == b.settings.bridge_mac);
    CHECK(arrives_for("10.32.7.3") == b.settings.bridge_mac);
}

} // namespace weave::dataplane::test
