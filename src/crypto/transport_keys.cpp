// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/transport_keys.hpp"

#include <cassert>

namespace weave::crypto {
namespace {

std::vector<Key32> lane_keys(const Key32& direction, std::uint8_t lanes) {
    assert(lanes >= 1 && lanes <= kMaxLanes);
    std::vector<Key32> out;
    out.reserve(lanes);
    for (std::uint64_t lane = 0; lane < lanes; ++lane) {
        out.push_back(derive_key(direction.view(), lane, "lane____"));
    }
    return out;
}

} // namespace

TransportKeys TransportKeys::clone() const {
    TransportKeys out{suite, local_lanes, remote_lanes, local_index, remote_index, {}, {}};
    for (const Key32& key : send) {
        out.send.push_back(key.clone());
    }
    for (const Key32& key : receive) {
        out.receive.push_back(key.clone());
    }
    return out;
}

TransportKeys make_transport_keys(Split&& split,
                                  bool initiator,
                                  Suite suite,
                                  std::uint8_t local_lanes,
                                  std::uint8_t remote_lanes,
                                  std::uint32_t local_index,
                                  std::uint32_t remote_index) {
    const Split keys = std::move(split);
    const Key32& out = initiator ? keys.initiator_to_responder : keys.responder_to_initiator;
    const Key32& in = initiator ? keys.responder_to_initiator : keys.initiator_to_responder;
    return {suite,
            local_lanes,
            remote_lanes,
            local_index,
            remote_index,
            lane_keys(out, local_lanes),
            lane_keys(in, remote_lanes)};
}

} // namespace weave::crypto
