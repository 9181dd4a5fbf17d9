// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "wire/control.hpp"

#include "wire/bytes_io.hpp"

#include <cassert>

namespace weave::wire {

Bytes ControlIdentity::encode() const {
    assert(name.size() <= 255);
    ByteWriter out;
    out.bytes(sign_public).bytes(vouch).u64(boot_epoch).u64(nonce);
    out.u8(static_cast<std::uint8_t>(name.size())).bytes(as_bytes(name));
    out.u32(features).u16(udp_port);
    return out.take();
}

std::optional<ControlIdentity> ControlIdentity::parse(ByteView bytes) {
    ByteReader in(bytes);
    ControlIdentity out;
    out.sign_public = in.array<32>();
    out.vouch = in.array<64>();
    out.boot_epoch = in.u64();
    out.nonce = in.u64();
    const ByteView name = in.take(in.u8());
    out.name.assign(name.begin(), name.end());
    out.features = in.u32();
    out.udp_port = in.u16();
    if (!in.ok()) {
        return std::nullopt;
    }
    return out;
}

Bytes encode_control_refusal(RefusalCode code) {
    ByteWriter out;
    out.u8(static_cast<std::uint8_t>(DatagramType::control_refusal));
    out.u8(static_cast<std::uint8_t>(code)).zeros(2);
    return out.take();
}

std::optional<RefusalCode> parse_control_refusal(ByteView body) {
    ByteReader in(body);
    const std::uint8_t type = in.u8();
    const std::uint8_t code = in.u8();
    in.zeros(2);
    if (!in.ok() || !in.at_end() || code < 1 || code > kLastRefusalCode ||
        type != static_cast<std::uint8_t>(DatagramType::control_refusal)) {
        return std::nullopt;
    }
    return static_cast<RefusalCode>(code);
}

void append_control_message(Bytes& out, ByteView body) {
    assert(body.size() <= 0xffff);
    out.push_back(static_cast<std::uint8_t>(body.size()));
    out.push_back(static_cast<std::uint8_t>(body.size() >> 8));
    out.insert(out.end(), body.begin(), body.end());
}

std::optional<ByteView> take_control_message(ByteView& rest) {
    if (rest.size() < kControlLengthSize) {
        return std::nullopt;
    }
    const std::size_t length = load_u16(rest.data());
    if (rest.size() - kControlLengthSize < length) {
        return std::nullopt;
    }
    const ByteView body = rest.subspan(kControlLengthSize, length);
    rest = rest.subspan(kControlLengthSize + length);
    return body;
}

} // namespace weave::wire
