// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What is inside handshake messages once they are decrypted. The first byte picks the decoder.
#include "target.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"

namespace weave::fuzz {
namespace {

/** Later versions may append fields: what is not known is left out, and nothing else changes. */
template <class Payload> void check(ByteView bytes) {
    const auto payload = Payload::parse(bytes);
    if (!payload) {
        return;
    }
    const Bytes again = payload->encode();
    FUZZ_CHECK(starts_with(bytes, again));
    FUZZ_CHECK(Payload::parse(again) == payload);
}

void check_refusal(ByteView bytes) {
    if (const auto code = wire::parse_control_refusal(bytes)) {
        FUZZ_CHECK(same(wire::encode_control_refusal(*code), bytes));
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave;
    fuzz::Input input({data, size});
    const std::uint8_t which = input.u8();
    switch (which % 4) {
    case 0:
        fuzz::check<wire::InitPayload>(input.rest());
        break;
    case 1:
        fuzz::check<wire::ResponsePayload>(input.rest());
        break;
    case 2:
        fuzz::check<wire::ControlIdentity>(input.rest());
        break;
    default:
        fuzz::check_refusal(input.rest());
    }
    return 0;
}
