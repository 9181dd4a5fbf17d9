// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "dataplane/drop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>

/**
 * What the errors of the kernel mean on the packet path, in one place: an errno value says
 * something else by operation, and by whether many packets were handed over as one.
 */
namespace weave::dataplane {

enum class Operation : std::uint8_t {
    send,      ///< a datagram, or a train by UDP_SEGMENT
    tap_write, ///< a frame, or a superframe
};

enum class Remedy : std::uint8_t {
    again,         ///< at once: the error tells of something else, or has passed
    wait,          ///< there may be room in a moment
    split,         ///< hand over the parts one by one
    split_for_now, ///< the same, also of those to come: such are not taken here
    lose,          ///< it is lost
};

struct Verdict {
    Remedy remedy = Remedy::lose;
    Drop reason = Drop::send_failed; ///< under which it is counted where no remedy helps

    bool operator==(const Verdict&) const = default;
};

/** `several`: it was a train or a superframe. Pure. */
constexpr Verdict judge_error(Operation operation, int error, bool several) {
    const bool send = operation == Operation::send;
    const Drop failed = send ? Drop::send_failed : Drop::tap_write_failed;
    switch (error) {
    case EINTR:
    case ECONNREFUSED: // of an earlier datagram
        return {Remedy::again, failed};
    case EAGAIN:
        return send ? Verdict{Remedy::wait, Drop::send_buffer_full}
                    : Verdict{Remedy::lose, Drop::tap_full};
    case ENOBUFS:
    case ENOMEM:
        return {Remedy::again, send ? Drop::send_buffer_full : Drop::tap_full};
    case EMSGSIZE:
        // Of a train this is the 65,507 bytes of a datagram, or one path's size: never the MTU.
        return {several ? Remedy::split : Remedy::lose, send ? Drop::too_big : failed};
    case EINVAL:
        // More segments than this kernel takes; a superframe that 6.6.44 refuses. Of one datagram:
        // the address that it was to leave from is not there any more.
        return {several ? Remedy::split_for_now : Remedy::lose,
                send ? Drop::send_unreachable : failed};
    case EOPNOTSUPP: // no such offload in this kernel
        return {several ? Remedy::split_for_now : Remedy::lose, failed};
    case EIO:
        // No checksum offload on the way out; of a TAP that it is down.
        return send ? Verdict{several ? Remedy::split_for_now : Remedy::lose, failed}
                    : Verdict{Remedy::lose, Drop::tap_down};
    case EBADFD:
    case EBADF:
    case ENODEV:
    case ENXIO:
        return {Remedy::lose, send ? Drop::send_unreachable : Drop::tap_down};
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return {Remedy::lose, send ? Drop::send_unreachable : failed};
    case EPERM:
    case EACCES:
        return {Remedy::lose, send ? Drop::send_refused : failed};
    default:
        return {Remedy::lose, failed};
    }
}

/**
 * What was refused is not asked for again for a minute, then for twice as long each time up to an
 * hour: a kernel or an interface that never takes it costs one attempt an hour, and one that was
 * changed is noticed.
 */
class Abstinence {
  public:
    static constexpr Duration kFirst = std::chrono::minutes{1};
    static constexpr Duration kLongest = std::chrono::hours{1};

    [[nodiscard]] bool holds(TimePoint now) const { return now < until_; }

    [[nodiscard]] TimePoint until() const { return until_; }

    void refused(TimePoint now) {
        wait_ = std::clamp(2 * wait_, kFirst, kLongest);
        until_ = now + wait_;
    }

    void taken() { wait_ = Duration::zero(); }

  private:
    TimePoint until_{};
    Duration wait_{};
};

} // namespace weave::dataplane
