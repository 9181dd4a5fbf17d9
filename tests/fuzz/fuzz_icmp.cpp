// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The answers to frames that are too big. Input: 1 unused, MTU 2, frame.
#include "dataplane/icmp.hpp"
#include "dataplane/packet.hpp"
#include "frames.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::dataplane;

constexpr MacAddress kRouterMac{{2, 0, 0, 0, 0, 1}};

void check_message(ByteView answer, const Packet& packet, std::uint16_t mtu) {
    const ByteView icmp = answer.subspan(packet.l4, packet.end - packet.l4);
    FUZZ_CHECK(icmp.size() > 8);
    if (packet.version == 4) {
        FUZZ_CHECK(icmp[0] == 3 && icmp[1] == 4 && load_be16(&icmp[6]) == mtu);
        FUZZ_CHECK(plain_sum(icmp) == 0xffff);
        FUZZ_CHECK(plain_sum(answer.subspan(packet.l3, 20)) == 0xffff);
        FUZZ_CHECK(packet.end - packet.l3 <= 576);
    } else {
        FUZZ_CHECK(icmp[0] == 2 && icmp[1] == 0 && load_be32(&icmp[4]) == mtu);
        const std::uint16_t pseudo = plain_pseudo_sum(answer, packet, icmp.size());
        FUZZ_CHECK(plain_sum(icmp, pseudo) == 0xffff);
        FUZZ_CHECK(packet.end - packet.l3 <= 1280);
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave;
    using namespace weave::fuzz;
    Input input({data, size});
    input.u8();
    const std::uint16_t mtu = input.u16();
    const ByteView frame = input.rest();
    const auto answer = too_big_answer(frame, mtu, kRouterMac);
    if (!answer) {
        return 0;
    }
    const auto asked = parse_frame(frame, true);
    const auto packet = parse_frame(*answer);
    FUZZ_CHECK(asked && packet && packet->version == asked->version && packet->l4 != 0);
    FUZZ_CHECK(packet->protocol == (packet->version == 4 ? 1 : 58));
    FUZZ_CHECK(mac_at(answer->data()) == mac_at(frame.data() + 6));
    FUZZ_CHECK(mac_at(answer->data() + 6) == kRouterMac);
    FUZZ_CHECK(destination_ip(*answer, *packet) == source_ip(frame, *asked));
    check_message(*answer, *packet, mtu);
    // Nobody answers an error: two routers would keep each other busy.
    FUZZ_CHECK(!too_big_answer(*answer, mtu, kRouterMac));
    return 0;
}
