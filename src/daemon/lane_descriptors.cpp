// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/lane_descriptors.hpp"

#include "os/error.hpp"

#include <cerrno>

namespace weave::daemon {

LaneShape shape_of(const LaneDescriptors& open) {
    LaneShape out;
    out.tap_tso = open.tap.features.tso;
    out.tap_uso = open.tap.features.uso;
    out.tap_queues = static_cast<std::uint32_t>(open.tap.queues.size());
    out.udp4 = static_cast<std::uint32_t>(open.udp4.size());
    out.udp6 = static_cast<std::uint32_t>(open.udp6.size());
    return out;
}

std::vector<int> raw_descriptors(const LaneDescriptors& open) {
    std::vector<int> out;
    for (const os::UniqueFd& queue : open.tap.queues) {
        out.push_back(queue.get());
    }
    for (const auto* family : {&open.udp4, &open.udp6}) {
        for (const os::UdpSocket& socket : *family) {
            out.push_back(socket.fd());
        }
    }
    return out;
}

LaneDescriptors assemble(const LaneShape& shape, std::span<os::UniqueFd> fds) {
    if (fds.size() != shape.descriptors() || shape.tap_queues == 0) {
        os::throw_sentence(EPROTO, "the descriptors are not those that were spoken of");
    }
    LaneDescriptors out;
    out.tap.features = {.tso = shape.tap_tso, .uso = shape.tap_uso};
    auto next = fds.begin();
    for (std::uint32_t i = 0; i < shape.tap_queues; ++i) {
        out.tap.queues.push_back(std::move(*next++));
    }
    for (std::uint32_t i = 0; i < shape.udp4; ++i) {
        out.udp4.push_back(os::UdpSocket::adopt(std::move(*next++)));
    }
    for (std::uint32_t i = 0; i < shape.udp6; ++i) {
        out.udp6.push_back(os::UdpSocket::adopt(std::move(*next++)));
    }
    return out;
}

} // namespace weave::daemon
