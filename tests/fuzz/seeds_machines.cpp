// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Operations for the targets that drive the handshakes.
#include "ipam/manager.hpp"
#include "seeds.hpp"
#include "session/control.hpp"

namespace weave::fuzz {
namespace {

/** fuzz_session_manager.cpp reads an operation as (number << 1 | node). */
constexpr std::uint8_t op(unsigned number, unsigned node) {
    return static_cast<std::uint8_t>(number << 1 | node);
}

void seed_session() {
    const std::uint8_t a = 1;
    const std::uint8_t b = 0;
    seed("session_manager", Bytes{op(0, a), op(1, a), 20});
    seed("session_manager", Bytes{op(0, a), op(0, b), op(2, a), 130, op(2, a), 200});
    seed("session_manager", Bytes{op(5, a), op(0, a), op(2, a), 100, op(5, a), op(1, a), 99});
    // Earlier datagrams: as they were, with a changed byte, and with a good MAC over the change.
    seed("session_manager",
         Bytes{op(0, a), op(4, b), 0, 0, op(4, b), 1, 1, 60, 1, op(4, b), 13, 1, 40, 1, 9});
    seed("session_manager", Bytes{op(0, b), op(8, b), op(6, a), op(0, a), op(2, b), 190, op(9, a)});
    seed("session_manager", Bytes{op(0, a), op(10, b), op(0, b), op(11, a), op(2, a), 60});
    seed("session_manager",
         Bytes{op(3, a), 8, 0, 6, 1, 0, 0, 64, 0, 0, 0, 9, op(7, a), 64, 0, 0, 0});
}

Bytes first_message() {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(1);
    const auto identity = crypto::Identity::from_seed(crypto::Key32(raw));
    session::ControlLocal local;
    local.identity = &identity;
    local.cluster_id.fill(7);
    raw.fill(0x51);
    local.secrets.push_back({1, crypto::Key32(raw)});
    session::ControlHandshake handshake(std::move(local), true);
    return handshake.take_output();
}

void seed_control() {
    const Bytes message = first_message();
    for (const std::uint8_t mode : {std::uint8_t{1}, std::uint8_t{2}}) {
        seed("control_stream", wire::ByteWriter().u8(mode).u8(7).bytes(message).take());
        Bytes refusal;
        wire::append_control_message(refusal, wire::encode_control_refusal({}));
        seed("control_stream", wire::ByteWriter().u8(mode).u8(1).bytes(refusal).take());
        for (const wire::RefusalCode code : {wire::RefusalCode::version,
                                             wire::RefusalCode::cluster,
                                             wire::RefusalCode::secret,
                                             wire::RefusalCode::unknown_peer}) {
            refusal.clear();
            wire::append_control_message(refusal, wire::encode_control_refusal(code));
            seed("control_stream", wire::ByteWriter().u8(mode).u8(9).bytes(refusal).take());
        }
    }
    // Between two sides: bit 1 receives, bit 0 says who, bits 2 and 3 say how to tamper.
    seed("control_stream", Bytes{0});
    seed("control_stream", Bytes{0, 2, 30, 2, 255, 3, 100, 3, 255, 2, 255, 3, 255});
    for (const std::uint8_t how : Bytes{0, 4, 8, 12}) {
        seed("control_stream", Bytes{0, how, 20, 0, 1, 2, 255, 3, 255});
        seed("control_stream",
             Bytes{0, 2, 255, static_cast<std::uint8_t>(how | 1), 60, 0, 1, 3, 255});
        seed("control_stream", Bytes{0, 2, 255, 3, 255, how, 50, 0, 3, 2, 255, 3, 255});
    }
}

/** One node alone, before and after it handed out; and a state with everything in it. */
void seed_ipam_state() {
    const TimePoint now = TimePoint{} + std::chrono::hours(1);
    ipam::ManagerSettings settings;
    settings.allocator.self.octets.fill(1);
    settings.allocator.range = *Prefix::parse("10.32.0.0/16");
    settings.boot = "boot";
    ipam::Manager manager(settings, now);
    seed("ipam_state", ipam::encode_state(manager.state()));
    for (const char* holder : {"a", "b", "c"}) {
        manager.allocate(holder, manager.allocator().range(), now);
    }
    manager.release_all("b", now);
    ipam::ManagerState state = manager.state();
    seed("ipam_state", ipam::encode_state(state));
    NodeId other;
    other.octets.fill(2);
    state.allocator.ring = {{{0, 4096}, {other, {1, 2}}},
                            {{4096, 65536}, {settings.allocator.self, {2, 1}}}};
    state.allocator.given = {{{64, 128}, {other, {1, 3}}}};
    state.allocator.outside = {{*IpAddress::parse("10.1.2.3"), "old"}};
    state.allocator.lent = {{5000, other}};
    state.allocator.taken = {{6000, 7000}};
    state.allocator.away = {other};
    state.members.forgot = true;
    state.members.fence = 1;
    state.members.overruled = {other};
    state.members.lineages = {{other, 7}};
    seed("ipam_state", ipam::encode_state(state));
    state.allocator.range = *Prefix::parse("fd00::/110");
    seed("ipam_state", ipam::encode_state(state));
}

} // namespace

void seed_machines() {
    seed_ipam_state();
    seed_session();
    seed_control();
}

} // namespace weave::fuzz
