// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tap_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <unistd.h>

namespace weave::dataplane {

TapPort::Read TapPort::read(ByteSpan buffer) {
    std::uint8_t* start = buffer.data() + kHeadroom - sizeof(VnetHeader);
    if (fd_ < 0) {
        return {};
    }
    const ssize_t size = ::read(fd_, start, sizeof(VnetHeader) + kMaxFrame);
    if (size < 0) {
        // A frame whose offloads the kernel cannot describe is lost with EINVAL; the next is fine.
        gone_ = gone_ || errno == EBADFD || errno == EBADF || errno == EIO || errno == ENODEV;
        if (errno == EINVAL) {
            counters_.drop(Drop::malformed_frame);
        }
        return {};
    }
    const auto bytes = static_cast<std::size_t>(size);
    if (bytes <= sizeof(VnetHeader)) {
        counters_.drop(Drop::malformed_frame);
        return {};
    }
    Read out;
    std::memcpy(&out.vnet, start, sizeof out.vnet);
    out.frame = buffer.subspan(kHeadroom, bytes - sizeof(VnetHeader));
    counters_.tap_reads.add();
    return out;
}

bool TapPort::write_parts(const VnetHeader& vnet, std::span<const iovec> parts) {
    std::array<iovec, 72> all;
    all[0] = {const_cast<VnetHeader*>(&vnet), sizeof vnet};
    const std::size_t count = std::min(parts.size(), all.size() - 1);
    std::copy_n(parts.begin(), count, all.begin() + 1);
    return fd_ >= 0 && ::writev(fd_, all.data(), static_cast<int>(count + 1)) >= 0;
}

void TapPort::write(const VnetHeader& vnet,
                    std::span<const iovec> parts,
                    std::span<const ByteView> frames) {
    constexpr unsigned kRetryAfter = 10000;
    const bool super = frames.size() > 1;
    if (!super || avoid_super_ == 0) {
        if (write_parts(vnet, parts)) {
            counters_.tap_writes.add();
            return;
        }
        // EIO is an interface that is down.
        if (!super || errno != EINVAL) {
            counters_.drop(Drop::tap_write_failed, frames.size());
            return;
        }
        // Where a single frame is refused, too, the superframe was not to blame.
        avoid_super_ = write_singles(vnet, frames) ? kRetryAfter : 0;
    } else {
        write_singles(vnet, frames);
        --avoid_super_;
    }
    counters_.tap_refuses.set(avoid_super_ != 0 ? 1 : 0);
}

bool TapPort::write_singles(const VnetHeader& vnet, std::span<const ByteView> frames) {
    counters_.tap_gso_fallbacks.add();
    bool all = true;
    VnetHeader single;
    single.flags = vnet.flags;
    single.csum_start = vnet.csum_start;
    single.csum_offset = vnet.csum_offset;
    for (const ByteView& frame : frames) {
        const iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
        if (write_parts(single, {&whole, 1})) {
            counters_.tap_writes.add();
        } else {
            counters_.drop(Drop::tap_write_failed);
            all = false;
        }
    }
    return all;
}

} // namespace weave::dataplane
