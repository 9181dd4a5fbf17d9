// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/fast_interface.hpp"

#include "os/error.hpp"
#include "os/ethtool.hpp"

#include <algorithm>
#include <cerrno>

namespace weave::daemon {

FastInterface::FastInterface(Lanes& lanes,
                             const os::Link& link,
                             std::uint8_t port,
                             std::uint16_t udp_port)
    : lanes_(lanes)
    , link_(link)
    , port_(port)
    , udp_port_(udp_port) {
    const std::size_t frame = fastpath::Umem::frame_size(link.mtu);
    if (frame == 0) {
        os::throw_sentence(EMSGSIZE,
                           "the MTU of " + link.name + ", " + std::to_string(link.mtu) +
                               ", is larger than a frame of AF_XDP");
    }
    const unsigned count = std::min(os::receive_queues(link.name), kMaxSockets);
    umem_ = std::make_unique<fastpath::Umem>(frame, count);
    take(true);
    attach();
    for (unsigned queue = 0; queue < count; ++queue) {
        sockets_.push_back(
            std::make_unique<fastpath::Socket>(*umem_, link.name, queue, queue, hook_));
        filter_.set_socket(queue, sockets_.back()->fd());
    }
    lanes_.while_halted([&] {
        try {
            for (unsigned queue = 0; queue < count; ++queue) {
                lanes_.lane_of_queue(queue).add_fast_port(
                    std::make_unique<dataplane::FastPort>(port_, *sockets_[queue], udp_port));
            }
        } catch (...) {
            remove_ports(); // the sockets do not outlive this
            throw;
        }
    });
}

void FastInterface::remove_ports() {
    for (unsigned lane = 0; lane < lanes_.count(); ++lane) {
        lanes_.lane(lane).remove_fast_ports(port_);
    }
}

FastInterface::~FastInterface() {
    // What is in the rings by now is taken as the lanes halt; what comes goes to the kernel.
    filter_.detach();
    lanes_.while_halted([this] { remove_ports(); });
}

void FastInterface::take(bool takes) {
    // Every frame is too large for nothing.
    const auto largest = static_cast<std::uint32_t>(takes ? umem_->largest() : 0);
    filter_.configure({link_.mac, udp_port_, largest, lanes_.sparse_count() != 0});
}

void FastInterface::attach() {
    try {
        filter_.attach(link_.index, fastpath::Hook::native);
    } catch (const std::system_error& failed) {
        if (failed.code().value() == EEXIST) {
            throw;
        }
        hook_ = fastpath::Hook::generic; // the driver has no place for programs
        filter_.attach(link_.index, hook_);
    }
}

std::string FastInterface::text() const {
    const bool zero_copy =
        std::ranges::all_of(sockets_, [](const auto& socket) { return socket->zero_copy(); });
    return std::string{"af_xdp "} + (hook_ == fastpath::Hook::native ? "native " : "generic ") +
           (zero_copy ? "zero-copy" : "copy");
}

bool FastInterface::gone() const {
    for (unsigned lane = 0; lane < lanes_.count(); ++lane) {
        if (lanes_.lane(lane).fast_port_gone(port_)) {
            return true;
        }
    }
    return false;
}

FastProgress FastInterface::progress() const {
    FastProgress sum;
    sum.redirected = filter_.redirected();
    for (const auto& socket : sockets_) {
        const fastpath::SocketProgress one = socket->progress();
        sum.submitted += one.submitted;
        sum.refused += one.refused;
        sum.completed += one.completed;
        sum.taken += one.received + one.dropped;
    }
    return sum;
}

std::uint64_t FastInterface::dropped() const {
    std::uint64_t sum = 0;
    for (const auto& socket : sockets_) {
        sum += socket->progress().dropped;
    }
    return sum;
}

} // namespace weave::daemon
