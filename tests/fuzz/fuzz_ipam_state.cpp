// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The state file of the address range, behind its checksum: what the decoder takes, and what a node
// makes of it when it starts from that.
#include "ipam/manager.hpp"
#include "target.hpp"

namespace weave::fuzz {
namespace {

using namespace weave::ipam;

ManagerSettings settings_of(const ManagerState& state) {
    ManagerSettings out;
    out.allocator.self.octets.fill(1);
    out.allocator.range = *Prefix::parse("10.32.0.0/16");
    // Of its own range all of a state counts, of another one only the leases.
    const Prefix range = state.allocator.range;
    const unsigned host_bits = range.address.bits() - range.length;
    if (range.network() == range && host_bits >= 2 && host_bits <= 24) {
        out.allocator.range = range;
    }
    out.boot = state.boot;
    return out;
}

void start_from(const ManagerState& state) {
    TimePoint now = TimePoint{} + std::chrono::hours(1);
    Manager manager(settings_of(state), now);
    manager.restore(state, now);
    for (int i = 0; i < 3; ++i) {
        now += std::chrono::seconds(1);
        manager.tick(now);
        manager.allocate("a", manager.allocator().range(), now);
        manager.release_all("a", now);
    }
    const Report report = manager.allocator().report();
    FUZZ_CHECK(report.free + report.held + report.resting <= manager.allocator().range().size());
    const Bytes saved = encode_state(manager.state());
    const auto again = decode_state(saved);
    FUZZ_CHECK(again && same(encode_state(*again), saved));
}

} // namespace
} // namespace weave::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave;
    if (const auto state = ipam::decode_state({data, size})) {
        fuzz::start_from(*state);
    }
    return 0;
}
