// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/fast_port.hpp"

#include <algorithm>
#include <cerrno>

namespace weave::dataplane {
namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr int kAttempts = 4;

} // namespace

FastPort::FastPort(std::uint8_t port, fastpath::Socket& socket, std::uint16_t udp_port)
    : port_(port)
    , socket_(socket)
    , udp_port_(udp_port) {}

bool FastPort::fits(const FastHop& hop, const Endpoint& to, std::size_t datagram) {
    return datagram + frame_overhead(to.address) - kEthernetHeader <= hop.mtu;
}

ByteSpan FastPort::claim() {
    ByteSpan frame = socket_.claim();
    for (int attempt = 0; frame.empty() && attempt < kAttempts; ++attempt) {
        if (socket_.flush() == EAGAIN) {
            socket_.wait_for_room();
        }
        frame = socket_.claim();
    }
    return frame;
}

std::size_t FastPort::send(
    const FastHop& hop, const Endpoint& to, std::uint8_t tos, ByteView bytes, std::size_t segment) {
    const std::size_t overhead = frame_overhead(to.address);
    std::size_t lost = 0;
    for (std::size_t at = 0; at < bytes.size(); at += segment) {
        const ByteView datagram = bytes.subspan(at, std::min(segment, bytes.size() - at));
        const ByteSpan frame = claim();
        if (frame.empty()) {
            // One waited for room; a train that waits for each would hold its lane for long.
            lost = (bytes.size() - at + segment - 1) / segment;
            break;
        }
        const std::size_t size = overhead + datagram.size();
        std::copy(datagram.begin(), datagram.end(), frame.data() + overhead);
        put_underlay_headers(frame.first(size), hop, to, udp_port_, tos);
        socket_.submit(size);
    }
    int error = socket_.flush();
    for (int attempt = 0; error == EAGAIN && attempt < kAttempts; ++attempt) {
        socket_.wait_for_room();
        error = socket_.flush();
    }
    if (error != 0 && error != EAGAIN) {
        gone_.store(true);
    }
    return lost;
}

} // namespace weave::dataplane
