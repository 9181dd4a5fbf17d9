// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/lane_descriptors.hpp"

#include "daemon/log.hpp"
#include "fastpath/steering.hpp"
#include "os/error.hpp"

#include <cerrno>
#include <system_error>

namespace weave::daemon {
namespace {

std::vector<os::UdpSocket> open_family(const Endpoint& bind, std::size_t count, bool paired) {
    os::UdpOptions options;
    options.bind = bind;
    std::vector<os::UdpSocket> sockets;
    for (std::size_t index = 0; index < count; ++index) {
        // What is sparse must not be joined with what is not: it would wait with it.
        options.fewer_hops = paired ? static_cast<int>(index % 2) : 0;
        sockets.push_back(os::UdpSocket::open(options));
    }
    if (const int granted = sockets.front().receive_buffer(); granted < options.buffer_bytes) {
        log::warning(
            "event=small_receive_buffer bytes={} wanted={}", granted, options.buffer_bytes);
    }
    if (count > 1) {
        os::attach_lane_steering(sockets.front(), static_cast<unsigned>(count));
    }
    return sockets;
}

} // namespace

LaneDescriptors open_sockets(const LaneSockets& settings, os::Tap tap, bool paired) {
    const std::size_t count = tap.queues.size();
    LaneDescriptors out;
    out.tap = std::move(tap);
    if (settings.listen.empty()) {
        out.udp4 = open_family({IpAddress{}, settings.port}, count, paired);
        try {
            out.udp6 = open_family({*IpAddress::parse("::"), settings.port}, count, paired);
        } catch (const std::system_error& error) {
            log::warning("event=no_ipv6_underlay reason={}", log::quoted(error.what()));
        }
        return out;
    }
    for (const IpAddress& address : settings.listen) {
        (address.is_v4() ? out.udp4 : out.udp6) =
            open_family({address, settings.port}, count, paired);
    }
    return out;
}

bool sort_queues(const os::Tap& tap) {
    try {
        fastpath::Steering{}.attach(tap.queues.front().get());
        return true;
    } catch (const std::system_error& error) {
        log::info("event=no_lanes_for_sparse_flows reason={}", log::quoted(error.what()));
        return false;
    }
}

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
