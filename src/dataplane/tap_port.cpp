// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tap_port.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <unistd.h>

namespace weave::dataplane {
namespace {

std::size_t shape_of(const VnetHeader& vnet) {
    return vnet.gso_type == kGsoTcp4 ? 0 : vnet.gso_type == kGsoTcp6 ? 1 : 2;
}

} // namespace

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

int TapPort::write_parts(const VnetHeader& vnet, std::span<const iovec> parts) {
    constexpr int kAttempts = 4;
    std::array<iovec, 72> all;
    all[0] = {const_cast<VnetHeader*>(&vnet), sizeof vnet};
    const std::size_t count = std::min(parts.size(), all.size() - 1);
    std::copy_n(parts.begin(), count, all.begin() + 1);
    int error = fd_ < 0 ? EBADF : 0;
    for (int left = fd_ < 0 ? 0 : kAttempts; left > 0; --left) {
        error = ::writev(fd_, all.data(), static_cast<int>(count + 1)) < 0 ? errno : 0;
        if (error == 0 || judge_error(Operation::tap_write, error, false).remedy != Remedy::again) {
            break;
        }
    }
    return error;
}

void TapPort::write(const VnetHeader& vnet,
                    std::span<const iovec> parts,
                    std::span<const ByteView> frames) {
    if (frames.size() > 1) {
        write_super(vnet, parts, frames);
        return;
    }
    if (const int error = write_parts(vnet, parts)) {
        counters_.drop(judge_error(Operation::tap_write, error, false).reason);
    } else {
        wrote(vnet, frames);
    }
}

void TapPort::wrote(const VnetHeader& vnet, std::span<const ByteView> frames) {
    counters_.tap_writes.add();
    const auto until = watch_ == nullptr ? std::nullopt : watch_->wrote(vnet, frames, now_);
    if (until) {
        counters_.superframes_lost_until.raise(nanoseconds(*until));
    }
}

void TapPort::write_super(const VnetHeader& vnet,
                          std::span<const iovec> parts,
                          std::span<const ByteView> frames) {
    Abstinence& shape = no_superframes_[shape_of(vnet)];
    if (shape.holds(now_) || (watch_ != nullptr && watch_->holds(vnet, frames.front(), now_))) {
        write_singles(vnet, frames);
        return;
    }
    const int error = write_parts(vnet, parts);
    if (error == 0) {
        wrote(vnet, frames);
        shape.taken();
        return;
    }
    const Verdict verdict = judge_error(Operation::tap_write, error, true);
    if (verdict.remedy != Remedy::split && verdict.remedy != Remedy::split_for_now) {
        counters_.drop(verdict.reason, frames.size());
        return;
    }
    // Where a single frame is refused, too, the superframe was not to blame.
    if (write_singles(vnet, frames) && verdict.remedy == Remedy::split_for_now) {
        shape.refused(now_);
        counters_.no_superframes_until.raise(nanoseconds(shape.until()));
    }
}

bool TapPort::write_singles(const VnetHeader& vnet, std::span<const ByteView> frames) {
    counters_.tap_gso_fallbacks.add();
    const std::uint64_t before = counters_.tap_writes.value();
    VnetHeader single;
    single.flags = vnet.flags;
    single.csum_start = vnet.csum_start;
    single.csum_offset = vnet.csum_offset;
    for (const ByteView& frame : frames) {
        const iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
        write(single, {&whole, 1}, {&frame, 1});
    }
    return counters_.tap_writes.value() - before == frames.size();
}

} // namespace weave::dataplane
