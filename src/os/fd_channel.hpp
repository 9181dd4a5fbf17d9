// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "os/fd.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

namespace weave::os {

/** Throws std::system_error, ETIMEDOUT when it is not readable by then. */
void await_readable(int fd, TimePoint deadline);

/** One message and the descriptors that came with it. */
struct FdMessage {
    Bytes bytes;
    std::vector<UniqueFd> fds;
};

/**
 * Whole messages with descriptors between two processes of this host, over a unix stream socket:
 * u32 length, u32 count of descriptors, both little-endian, and the bytes. Blocking, each call
 * until its deadline; one thread. Throws std::system_error: ETIMEDOUT, EMSGSIZE and EPROTO for what
 * is no message, else what the kernel says.
 */
class FdChannel {
  public:
    static constexpr std::size_t kMaxBytes = std::size_t{512} << 20;
    /** The kernel takes no more in one message (SCM_MAX_FD). */
    static constexpr std::size_t kMaxFds = 253;

    explicit FdChannel(UniqueFd socket);
    /** Throws std::system_error, ENOENT or ECONNREFUSED when nobody listens there. */
    static FdChannel connect(const std::string& path);
    /** A socket that listens there, in the place of whoever listened; others than its user cannot
     * connect. */
    static UniqueFd listen(const std::string& path);
    /** Takes one that waits there; ECONNABORTED and the like when it is gone again. */
    static FdChannel accept(int listening);

    void send(ByteView bytes, std::span<const int> fds, TimePoint deadline);
    /** nullopt: the other end has closed. */
    std::optional<FdMessage> receive(TimePoint deadline, std::size_t max_bytes = kMaxBytes);

    /** Whom the process at the other end ran as when it connected or began to listen. */
    [[nodiscard]] uid_t peer_user() const;
    /** That process, as this one's namespace knows it. */
    [[nodiscard]] pid_t peer_pid() const;

    /** Readable once that process has ended and let go of all it had open (pidfd_open(2)). */
    [[nodiscard]] UniqueFd peer_process() const;

    [[nodiscard]] int fd() const { return socket_.get(); }

  private:
    /** False: closed before the first byte. */
    bool read_all(ByteSpan into, std::vector<UniqueFd>& fds, TimePoint deadline);

    UniqueFd socket_;
};

} // namespace weave::os
