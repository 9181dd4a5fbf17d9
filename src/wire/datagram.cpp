// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/datagram.hpp"

#include "wire/bytes_io.hpp"

#include <algorithm>

namespace weave::wire {

namespace {

/** e[32] and the tag of an empty payload: no handshake message is shorter. */
constexpr std::size_t kMinNoise = 48;
/** Handshakes must fit any underlay; longer ones are noise. */
constexpr std::size_t kMaxHandshake = 1200;

} // namespace

std::optional<DatagramType> datagram_type(ByteView datagram) {
    if (datagram.empty() || datagram[0] < 1 || datagram[0] > 6) {
        return std::nullopt;
    }
    return static_cast<DatagramType>(datagram[0]);
}

Bytes ClearHeader::encode() const {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(type)).u8(version_min).u8(version_max).u8(suite);
    out.u32(sender_index).bytes(kMagic).u32(secret_id).bytes(cluster_id);
    return out.take();
}

std::optional<ClearHeader> ClearHeader::parse(ByteView bytes) {
    ByteReader in(bytes);
    ClearHeader header;
    header.type = static_cast<DatagramType>(in.u8());
    header.version_min = in.u8();
    header.version_max = in.u8();
    header.suite = in.u8();
    header.sender_index = in.u32();
    const auto magic = in.array<4>();
    header.secret_id = in.u32();
    header.cluster_id = in.array<16>();
    if (!in.ok() || magic != kMagic) {
        return std::nullopt;
    }
    return header;
}

std::optional<InitView> InitView::parse(ByteView datagram) {
    constexpr std::size_t kFixed = ClearHeader::kSize + 2 * kMacSize;
    const auto header = ClearHeader::parse(datagram);
    if (!header || header->type != DatagramType::init || datagram.size() < kFixed + kMinNoise ||
        datagram.size() > kMaxHandshake || (header->sender_index & kLaneMask) != 0) {
        return std::nullopt;
    }
    InitView view;
    view.header = *header;
    view.prologue = datagram.first(ClearHeader::kSize);
    view.noise = datagram.subspan(ClearHeader::kSize, datagram.size() - kFixed);
    view.before_mac1 = datagram.first(datagram.size() - 2 * kMacSize);
    view.mac1 = datagram.subspan(view.before_mac1.size(), kMacSize);
    view.before_mac2 = datagram.first(datagram.size() - kMacSize);
    view.mac2 = datagram.last(kMacSize);
    return view;
}

std::optional<ResponseView> ResponseView::parse(ByteView datagram) {
    constexpr std::size_t kBefore = ClearHeader::kSize + 4;
    constexpr std::size_t kFixed = kBefore + 2 * kMacSize;
    const auto header = ClearHeader::parse(datagram);
    if (!header || header->type != DatagramType::response || datagram.size() < kFixed + kMinNoise ||
        datagram.size() > kMaxHandshake || (header->sender_index & kLaneMask) != 0) {
        return std::nullopt;
    }
    ResponseView view;
    view.header = *header;
    view.receiver_index = load_u32(datagram.data() + ClearHeader::kSize);
    view.noise = datagram.subspan(kBefore, datagram.size() - kFixed);
    view.before_mac1 = datagram.first(datagram.size() - 2 * kMacSize);
    view.mac1 = datagram.subspan(view.before_mac1.size(), kMacSize);
    const ByteView mac2 = datagram.last(kMacSize);
    if (std::any_of(mac2.begin(), mac2.end(), [](std::uint8_t byte) { return byte != 0; })) {
        return std::nullopt;
    }
    return view;
}

Bytes InitPayload::encode() const {
    return ByteWriter().u64(boot_epoch).u64(handshake_counter).u8(lanes).u32(features).take();
}

std::optional<InitPayload> InitPayload::parse(ByteView bytes) {
    ByteReader in(bytes);
    InitPayload out;
    out.boot_epoch = in.u64();
    out.handshake_counter = in.u64();
    out.lanes = in.u8();
    out.features = in.u32();
    if (!in.ok() || out.lanes == 0 || out.lanes > kMaxLanes) {
        return std::nullopt;
    }
    return out;
}

Bytes ResponsePayload::encode() const {
    return ByteWriter().u8(lanes).u32(features).u32(sender_index).take();
}

std::optional<ResponsePayload> ResponsePayload::parse(ByteView bytes) {
    ByteReader in(bytes);
    ResponsePayload out;
    out.lanes = in.u8();
    out.features = in.u32();
    out.sender_index = in.u32();
    if (!in.ok() || out.lanes == 0 || out.lanes > kMaxLanes) {
        return std::nullopt;
    }
    return out;
}

Bytes CookieReply::encode() const {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(DatagramType::cookie)).zeros(3).u32(receiver_index);
    out.bytes(nonce).bytes(sealed);
    return out.take();
}

std::optional<CookieReply> CookieReply::parse(ByteView datagram) {
    ByteReader in(datagram);
    const std::uint8_t type = in.u8();
    in.zeros(3);
    CookieReply out;
    out.receiver_index = in.u32();
    out.nonce = in.array<24>();
    out.sealed = in.array<32>();
    if (!in.ok() || !in.at_end() || type != static_cast<std::uint8_t>(DatagramType::cookie)) {
        return std::nullopt;
    }
    return out;
}

Bytes Refusal::encode() const {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(DatagramType::refusal)).u8(static_cast<std::uint8_t>(code));
    out.zeros(2).u32(receiver_index);
    return out.take();
}

std::optional<Refusal> Refusal::parse(ByteView datagram) {
    ByteReader in(datagram);
    const std::uint8_t type = in.u8();
    const std::uint8_t code = in.u8();
    in.zeros(2);
    Refusal out;
    out.receiver_index = in.u32();
    if (!in.ok() || !in.at_end() || type != static_cast<std::uint8_t>(DatagramType::refusal) ||
        code < 1 || code > kLastRefusalCode) {
        return std::nullopt;
    }
    out.code = static_cast<RefusalCode>(code);
    return out;
}

} // namespace weave::wire
