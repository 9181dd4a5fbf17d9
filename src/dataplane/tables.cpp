// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tables.hpp"

#include <cstring>

namespace weave::dataplane {
namespace {

/** Mixes 64 bits; MACs and prefixes differ in few low bits, shards are picked by the low ones. */
std::size_t mix(std::uint64_t value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return static_cast<std::size_t>(value ^ (value >> 33));
}

/** `address` with everything after `length` bits zeroed; no allocation. */
Prefix masked(const IpAddress& address, unsigned length) {
    std::array<std::uint8_t, 16> octets{};
    const ByteView bytes = address.bytes();
    for (unsigned i = 0; i < bytes.size() && i * 8 < length; ++i) {
        const unsigned left = length - i * 8;
        const unsigned keep = left >= 8 ? 0xffu : 0xffu << (8 - left) & 0xffu;
        octets[i] = static_cast<std::uint8_t>(bytes[i] & keep);
    }
    return {*IpAddress::from_bytes(ByteView{octets}.first(bytes.size())),
            static_cast<std::uint8_t>(length)};
}

std::optional<PeerIndex> stored(PeerIndex owner) {
    return owner == kNoPeer ? std::nullopt : std::optional{owner};
}

} // namespace

std::size_t AddressTable::MacHash::operator()(const MacAddress& mac) const noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, mac.octets.data(), mac.octets.size());
    return mix(value);
}

std::size_t AddressTable::PrefixHash::operator()(const Prefix& prefix) const noexcept {
    std::uint64_t words[2]{};
    const ByteView bytes = prefix.address.bytes();
    std::memcpy(words, bytes.data(), bytes.size());
    return mix(words[0] ^ mix(words[1] ^ std::uint64_t{prefix.length} << 32));
}

AddressTable AddressTable::with(std::span<const AddressChange> changes) const {
    AddressTable next = *this;
    for (const AddressChange& change : changes) {
        if (const auto* mac = std::get_if<MacAddress>(&change.address)) {
            next.macs_.assign(*mac, stored(change.owner));
            continue;
        }
        const Prefix& given = std::get<Prefix>(change.address);
        if (given.length > given.address.bits()) {
            continue;
        }
        const std::size_t before = next.prefixes_.size();
        next.prefixes_.assign(masked(given.address, given.length),
                              change.owner == kNoPeer
                                  ? std::nullopt
                                  : std::optional{Neighbour{change.owner, change.mac}});
        auto& count =
            given.address.is_v4() ? next.v4_lengths_[given.length] : next.v6_lengths_[given.length];
        count += static_cast<std::uint32_t>(next.prefixes_.size() - before);
    }
    return next;
}

PeerIndex AddressTable::owner(const MacAddress& mac) const {
    const PeerIndex* found = macs_.find(mac);
    return found != nullptr ? *found : kNoPeer;
}

PeerIndex AddressTable::owner(const IpAddress& address) const {
    const std::span<const std::uint32_t> lengths =
        address.is_v4() ? std::span<const std::uint32_t>{v4_lengths_} : v6_lengths_;
    for (std::size_t length = lengths.size(); length-- > 0;) {
        if (lengths[length] == 0) {
            continue;
        }
        if (const Neighbour* found =
                prefixes_.find(masked(address, static_cast<unsigned>(length)))) {
            return found->owner;
        }
    }
    return kNoPeer;
}

Neighbour AddressTable::neighbour(const IpAddress& address) const {
    const Neighbour* found = prefixes_.find({address, static_cast<std::uint8_t>(address.bits())});
    return found != nullptr ? *found : Neighbour{};
}

} // namespace weave::dataplane
