// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Trains past the kernel, to a kernel's socket and back.
#include "dataplane/fast_port.hpp"
#include "tests/support/fast_rig.hpp"

using namespace weave;
using namespace weave::test;
using namespace weave::dataplane;

namespace {

/** What arrives at the other end: sizes and first bytes of all datagrams. */
std::vector<std::pair<std::size_t, int>>
arrived(const os::UdpSocket& socket, std::size_t count, const Endpoint& from, std::uint8_t tos) {
    std::vector<std::pair<std::size_t, int>> out;
    os::ReceiveSlots slots;
    while (out.size() < count && readable(socket.fd())) {
        for (const os::Datagram& datagram : socket.receive(slots).datagrams) {
            CHECK(datagram.from == from);
            CHECK(datagram.tos == tos);
            const std::size_t segment = datagram.segment_size;
            for (std::size_t at = 0; at < datagram.bytes.size(); at += segment) {
                out.emplace_back(std::min(segment, datagram.bytes.size() - at), datagram.bytes[at]);
            }
        }
    }
    return out;
}

} // namespace

TEST_CASE("a kernel takes what a fast port sends, in order and with its checksums") {
    Rig rig;
    const auto socket = rig.open(fastpath::Hook::native);
    FastPort port{0, *socket, kPort};
    for (const bool v4 : {true, false}) {
        CAPTURE(v4);
        const FastHop hop{0, kHere, kThere, v4 ? kOwn : kOwn6, 1500};
        const Endpoint to{v4 ? kOther : kOther6, kPort};
        const std::size_t segment = 1500 - (v4 ? 28 : 48);
        CHECK(FastPort::fits(hop, to, segment));
        CHECK_FALSE(FastPort::fits(hop, to, segment + 1));
        Bytes train(44 * segment + 100);
        for (std::size_t i = 0; i < train.size(); ++i) {
            train[i] = static_cast<std::uint8_t>(i / segment);
        }
        for (int round = 0; round < 50; ++round) {
            CHECK(port.send(hop, to, 0xb8, train, segment) == 0);
            const auto got = arrived(v4 ? *rig.other : *rig.other6, 45, {hop.source, kPort}, 0xb8);
            REQUIRE(got.size() == 45);
            for (std::size_t i = 0; i < got.size(); ++i) {
                CHECK(got[i] ==
                      std::pair{i == 44 ? std::size_t{100} : segment, static_cast<int>(i)});
            }
        }
    }
    CHECK(socket->sends_away() == 0);
    CHECK_FALSE(port.gone());
}

TEST_CASE("a fast port of an interface that vanished says so and blocks nobody") {
    Rig rig;
    const auto socket = rig.open(fastpath::Hook::native);
    FastPort port{0, *socket, kPort};
    rig.near.delete_link(rig.link);
    const Bytes train(3 * 1000);
    const FastHop hop{0, kHere, kThere, kOwn, 1500};
    (void)port.send(hop, {kOther, kPort}, 0, train, 1000);
    CHECK(port.gone());
}
