// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/state.hpp"

#include "wire/bytes_io.hpp"

namespace weave::ipam {
namespace {

using wire::ByteReader;
using wire::ByteWriter;

constexpr std::uint8_t kVersion = 1;

void put(ByteWriter& out, Index index) {
    out.u32(index);
}

void put(ByteWriter& out, const Run& run) {
    out.u32(run.first).u32(run.end);
}

void put(ByteWriter& out, const NodeId& node) {
    out.bytes(node.octets);
}

void put(ByteWriter& out, const Claim& claim) {
    put(out, claim.owner);
    out.u32(claim.stamp.era).u32(claim.stamp.version);
}

void put(ByteWriter& out, const std::string& text) {
    out.u32(static_cast<std::uint32_t>(text.size())).bytes(as_bytes(text));
}

void put(ByteWriter& out, const IpAddress& address) {
    out.u8(address.is_v4() ? 4 : 6).bytes(address.bytes());
}

void put(ByteWriter& out, const Outside& outside) {
    put(out, outside.address);
    put(out, outside.holder);
}

void put(ByteWriter& out, std::uint64_t number) {
    out.u64(number);
}

void put(ByteWriter& out, const MembersState::Accepted& accepted) {
    const Bytes told = wire::encode_member_sets({{accepted.set}, {}});
    out.u32(static_cast<std::uint32_t>(told.size())).bytes(told);
    out.u8(accepted.attested ? 1 : 0);
}

template <class First, class Second>
void put(ByteWriter& out, const std::pair<First, Second>& both) {
    put(out, both.first);
    put(out, both.second);
}

template <class T> void put(ByteWriter& out, const std::vector<T>& list) {
    out.u32(static_cast<std::uint32_t>(list.size()));
    for (const T& one : list) {
        put(out, one);
    }
}

void get(ByteReader& in, Index& index) {
    index = in.u32();
}

void get(ByteReader& in, Run& run) {
    run = {in.u32(), in.u32()};
    if (run.empty()) {
        in.fail();
    }
}

void get(ByteReader& in, NodeId& node) {
    node.octets = in.array<16>();
}

void get(ByteReader& in, Claim& claim) {
    get(in, claim.owner);
    claim.stamp = {in.u32(), in.u32()};
}

void get(ByteReader& in, std::string& text) {
    const ByteView bytes = in.take(in.u32());
    text.assign(bytes.begin(), bytes.end());
}

void get(ByteReader& in, IpAddress& address) {
    const std::uint8_t family = in.u8();
    const auto read = IpAddress::from_bytes(in.take(family == 4 ? 4 : 16));
    if ((family != 4 && family != 6) || !read || read->is_v4() != (family == 4)) {
        in.fail();
    }
    address = read.value_or(IpAddress{});
}

void get(ByteReader& in, Outside& outside) {
    get(in, outside.address);
    get(in, outside.holder);
}

void get(ByteReader& in, std::uint64_t& number) {
    number = in.u64();
}

void get(ByteReader& in, MembersState::Accepted& accepted) {
    const auto told = wire::decode_member_sets(in.take(in.u32()));
    if (!told || told->sets.size() != 1) {
        in.fail();
        return;
    }
    accepted = {told->sets.front(), in.u8() == 1};
}

template <class First, class Second> void get(ByteReader& in, std::pair<First, Second>& both) {
    get(in, both.first);
    get(in, both.second);
}

/** Reads what is there, whatever the count says: nothing is set aside for it in advance. */
template <class T> void get(ByteReader& in, std::vector<T>& list) {
    for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
        get(in, list.emplace_back());
    }
}

void put(ByteWriter& out, const AllocatorState& state) {
    out.u8(state.range.length);
    put(out, state.range.address);
    put(out, state.ring);
    put(out, state.given);
    put(out, state.leases);
    put(out, state.outside);
    put(out, state.resting);
    put(out, state.lent);
    put(out, state.taken);
    put(out, state.away);
}

void get(ByteReader& in, AllocatorState& state) {
    state.range.length = in.u8();
    get(in, state.range.address);
    if (state.range.length > state.range.address.bits()) {
        in.fail();
    }
    get(in, state.ring);
    get(in, state.given);
    get(in, state.leases);
    get(in, state.outside);
    get(in, state.resting);
    get(in, state.lent);
    get(in, state.taken);
    get(in, state.away);
}

void put(ByteWriter& out, const MembersState& state) {
    put(out, state.accepted);
    const auto until = state.lease_until.value_or(TimePoint{}).time_since_epoch();
    out.u8(state.lease_until ? 1 : 0).u64(static_cast<std::uint64_t>(until.count()));
    out.u8(state.forgot ? 1 : 0).u32(state.fence).u32(state.highest);
    put(out, state.overruled);
    put(out, state.lineages);
}

void get(ByteReader& in, MembersState& state) {
    get(in, state.accepted);
    const bool held = in.u8() == 1;
    const TimePoint until{Duration{static_cast<Duration::rep>(in.u64())}};
    if (held) {
        state.lease_until = until;
    }
    state.forgot = in.u8() == 1;
    state.fence = in.u32();
    state.highest = in.u32();
    get(in, state.overruled);
    get(in, state.lineages);
}

} // namespace

Bytes encode_state(const ManagerState& state) {
    ByteWriter out;
    out.u8(kVersion);
    put(out, state.allocator);
    put(out, state.boot);
    put(out, state.members);
    return out.take();
}

Result<ManagerState> decode_state(ByteView bytes) {
    ByteReader in(bytes);
    ManagerState out;
    if (in.u8() != kVersion) {
        return std::make_error_code(std::errc::bad_message);
    }
    get(in, out.allocator);
    get(in, out.boot);
    get(in, out.members);
    if (!in.ok() || !in.at_end()) {
        return std::make_error_code(std::errc::bad_message);
    }
    return out;
}

} // namespace weave::ipam
