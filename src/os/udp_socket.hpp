// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "os/fd.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace weave::os {

struct UdpOptions {
    /** The address and port to bind; an unspecified address binds all of its family. Port 0: any
     * free one. */
    Endpoint bind;
    /** Several sockets may share the port; see attach_lane_steering(). */
    bool reuse_port = true;
    /** Wanted send and receive buffer, in bytes. Beyond the sysctl limits only with CAP_NET_ADMIN.
     */
    int buffer_bytes = 8 << 20;
    /** TTL or hop limit less than the host's default: what differs in it is never joined on its way
     * through a receiving interface. */
    int fewer_hops = 0;
};

/**
 * One received datagram, or a train of equal-sized ones when `segment_size` is less than the byte
 * count. The kernel joins datagrams of one sender address and port whatever is in them: a train is
 * steered by its first datagram and may hold other lanes' as well.
 */
struct Datagram {
    Endpoint from;
    /** The address it was sent to: the source for an answer. */
    IpAddress local;
    /** Into the slots; may be changed in place; valid until the next receive(). */
    ByteSpan bytes;
    /** Bytes of each datagram of the train (the last may be shorter); the whole size when there is
     * one. */
    std::uint16_t segment_size = 0;
    /** The slot was too small: the bytes are incomplete. */
    bool truncated = false;
    /** IPv4 TOS or IPv6 traffic class; its low two bits are ECN. */
    std::uint8_t tos = 0;
};

/** Fixed receive memory for one thread: allocated once. */
class ReceiveSlots {
  public:
    explicit ReceiveSlots(unsigned slots = 8, std::size_t slot_bytes = 65536);

  private:
    friend class UdpSocket;
    static constexpr std::size_t kControlBytes = 192;

    struct alignas(8) Control {
        std::uint8_t bytes[kControlBytes];
    };

    void rearm();

    std::size_t slot_bytes_;
    Bytes memory_;
    std::vector<Control> controls_;
    std::vector<sockaddr_storage> names_;
    std::vector<iovec> vectors_;
    std::vector<mmsghdr> messages_;
    std::vector<Datagram> datagrams_;
};

struct Received {
    /** 0, or an errno value; EAGAIN when nothing waits. */
    int error = 0;
    std::span<const Datagram> datagrams;
};

/**
 * A non-blocking UDP socket of one family (an IPv6 one takes no IPv4). Never fragments and ignores
 * the kernel's path MTU (PMTUDISC_PROBE): whoever sends searches the MTU. send() may be called by
 * several threads at once; receive() by one thread per ReceiveSlots.
 */
class UdpSocket {
  public:
    /** Throws std::system_error with a sentence. */
    static UdpSocket open(const UdpOptions& options);
    /** One that open() made in another process, with all its settings. Throws as open(). */
    static UdpSocket adopt(UniqueFd fd);

    [[nodiscard]] int fd() const { return fd_.get(); }

    [[nodiscard]] bool is_v6() const { return v6_; }

    /** The bound address and port. */
    [[nodiscard]] const Endpoint& local() const { return local_; }

    /** What the kernel granted, in bytes of its own accounting (twice what was asked). */
    [[nodiscard]] int receive_buffer() const { return receive_buffer_; }

    [[nodiscard]] int send_buffer() const { return send_buffer_; }

    /**
     * Sends one datagram, or, when segment_size is not 0 and the data is longer, a train of
     * datagrams of segment_size bytes (at most 64, 65507 bytes in all). `source` picks the local
     * address, `tos` is the IPv4 TOS or IPv6 traffic class. Returns 0 or an errno value: EAGAIN
     * (buffer full), EMSGSIZE (larger than the interface; for a train older kernels say EINVAL),
     * EIO (the interface cannot do trains), ENETUNREACH, EPERM (firewall) and so on.
     */
    [[nodiscard]] int send(const Endpoint& to,
                           const std::optional<IpAddress>& source,
                           std::span<const iovec> data,
                           std::uint16_t segment_size = 0,
                           std::uint8_t tos = 0) const noexcept;

    /** Takes as many waiting messages as there are slots. Never blocks, never allocates. */
    [[nodiscard]] Received receive(ReceiveSlots& slots) const noexcept;

    /** Datagrams the kernel dropped on this socket since it was opened; 0 when it does not say. */
    [[nodiscard]] std::uint32_t kernel_drops() const noexcept;

  private:
    UdpSocket() = default;
    void configure(const UdpOptions& options);
    void read_name();

    UniqueFd fd_;
    Endpoint local_;
    int receive_buffer_ = 0;
    int send_buffer_ = 0;
    bool v6_ = false;
};

/**
 * Steers each datagram of a SO_REUSEPORT group (same address and port) to the socket of its lane:
 * the low six bits of the little-endian u32 at payload offset 4, modulo `lanes`. Sockets count in
 * the order they were bound. A datagram shorter than 5 bytes goes to the first. Call on any one
 * socket of the group after all `lanes` are bound. Throws std::system_error.
 */
void attach_lane_steering(const UdpSocket& socket, unsigned lanes);

/** The address of this host from which packets to `to` leave; nullopt without a route. Sends
 * nothing. */
std::optional<IpAddress> source_towards(const Endpoint& to) noexcept;

} // namespace weave::os
