// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/udp_socket.hpp"

#include "os/error.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace weave::os {
namespace {

socklen_t fill_name(const Endpoint& endpoint, sockaddr_storage& out) noexcept {
    if (endpoint.address.is_v4()) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(endpoint.port);
        std::memcpy(&name.sin_addr, endpoint.address.bytes().data(), 4);
        std::memcpy(&out, &name, sizeof name);
        return sizeof name;
    }
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(endpoint.port);
    std::memcpy(&name.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&out, &name, sizeof name);
    return sizeof name;
}

IpAddress address_of(const in_addr& in) noexcept {
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &in, octets.size());
    return IpAddress::v4(octets);
}

IpAddress address_of(const in6_addr& in) noexcept {
    std::array<std::uint8_t, 16> octets;
    std::memcpy(octets.data(), &in, octets.size());
    return IpAddress::v6(octets);
}

Endpoint endpoint_of(const sockaddr_storage& in) noexcept {
    if (in.ss_family == AF_INET6) {
        sockaddr_in6 name;
        std::memcpy(&name, &in, sizeof name);
        return {address_of(name.sin6_addr), ntohs(name.sin6_port)};
    }
    sockaddr_in name;
    std::memcpy(&name, &in, sizeof name);
    return {address_of(name.sin_addr), ntohs(name.sin_port)};
}

bool set_option(int fd, int level, int option, int value) noexcept {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void require_option(int fd, int level, int option, int value, const char* name) {
    if (!set_option(fd, level, option, value)) {
        throw_errno(std::string{"cannot set "} + name + " on a UDP socket");
    }
}

int get_buffer(int fd, int option) {
    int granted = 0;
    socklen_t size = sizeof granted;
    ::getsockopt(fd, SOL_SOCKET, option, &granted, &size);
    return granted;
}

/** Forces the size past the sysctl limit where we may; returns what the kernel took. */
int set_buffer(int fd, int force_option, int option, int bytes) {
    if (!set_option(fd, SOL_SOCKET, force_option, bytes)) {
        set_option(fd, SOL_SOCKET, option, bytes);
    }
    return get_buffer(fd, option);
}

/** Appends control messages to a fixed buffer. */
class ControlWriter {
  public:
    explicit ControlWriter(msghdr& message)
        : message_(message) {
        message_.msg_control = buffer_;
        message_.msg_controllen = 0;
    }

    template <class T> void add(int level, int type, const T& value) noexcept {
        auto* header = reinterpret_cast<cmsghdr*>(buffer_ + message_.msg_controllen);
        header->cmsg_level = level;
        header->cmsg_type = type;
        header->cmsg_len = CMSG_LEN(sizeof value);
        std::memcpy(CMSG_DATA(header), &value, sizeof value);
        message_.msg_controllen += CMSG_SPACE(sizeof value);
    }

  private:
    msghdr& message_;
    alignas(cmsghdr) std::uint8_t
        buffer_[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(2) + CMSG_SPACE(sizeof(int))]{};
};

void add_source(ControlWriter& control, const IpAddress& source) noexcept {
    if (source.is_v4()) {
        in_pktinfo info{};
        std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
        control.add(IPPROTO_IP, IP_PKTINFO, info);
    } else {
        in6_pktinfo info{};
        std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
        control.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
}

template <class T> T control_value(cmsghdr* header) noexcept {
    T value{};
    std::memcpy(&value, CMSG_DATA(header), std::min(sizeof value, header->cmsg_len - CMSG_LEN(0)));
    return value;
}

void read_control(msghdr& message, Datagram& out) noexcept {
    for (cmsghdr* it = CMSG_FIRSTHDR(&message); it != nullptr; it = CMSG_NXTHDR(&message, it)) {
        if (it->cmsg_level == IPPROTO_IP && it->cmsg_type == IP_PKTINFO) {
            out.local = address_of(control_value<in_pktinfo>(it).ipi_addr);
        } else if (it->cmsg_level == IPPROTO_IPV6 && it->cmsg_type == IPV6_PKTINFO) {
            out.local = address_of(control_value<in6_pktinfo>(it).ipi6_addr);
        } else if (it->cmsg_level == IPPROTO_IP && it->cmsg_type == IP_TOS) {
            out.tos = control_value<std::uint8_t>(it);
        } else if (it->cmsg_level == IPPROTO_IPV6 && it->cmsg_type == IPV6_TCLASS) {
            out.tos = static_cast<std::uint8_t>(control_value<int>(it));
        } else if (it->cmsg_level == IPPROTO_UDP && it->cmsg_type == UDP_GRO) {
            out.segment_size = static_cast<std::uint16_t>(control_value<int>(it));
        }
    }
}

/** Without it all still arrives. */
void shorten_hops(int fd, bool v6, int fewer) noexcept {
    const int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    const int option = v6 ? IPV6_UNICAST_HOPS : IP_TTL;
    int hops = 0;
    socklen_t size = sizeof hops;
    if (fewer != 0 && ::getsockopt(fd, level, option, &hops, &size) == 0 && hops > fewer) {
        set_option(fd, level, option, hops - fewer);
    }
}

} // namespace

ReceiveSlots::ReceiveSlots(unsigned slots, std::size_t slot_bytes)
    : slot_bytes_(slot_bytes)
    , memory_(slots * slot_bytes)
    , controls_(slots)
    , names_(slots)
    , vectors_(slots)
    , messages_(slots)
    , datagrams_(slots) {
    for (unsigned i = 0; i < slots; ++i) {
        vectors_[i] = {memory_.data() + i * slot_bytes, slot_bytes};
    }
}

void ReceiveSlots::rearm() {
    for (std::size_t i = 0; i < messages_.size(); ++i) {
        msghdr& header = messages_[i].msg_hdr;
        header.msg_name = &names_[i];
        header.msg_namelen = sizeof names_[i];
        header.msg_iov = &vectors_[i];
        header.msg_iovlen = 1;
        header.msg_control = controls_[i].bytes;
        header.msg_controllen = kControlBytes;
        header.msg_flags = 0;
    }
}

void UdpSocket::configure(const UdpOptions& options) {
    const int fd = fd_.get();
    if (options.reuse_port) {
        require_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
    }
    receive_buffer_ = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.buffer_bytes);
    send_buffer_ = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.buffer_bytes);
    if (v6_) {
        require_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
        require_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
        require_option(
            fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER");
        require_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS");
    } else {
        require_option(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
        require_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER");
        require_option(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
    }
    set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
    shorten_hops(fd, v6_, options.fewer_hops);
}

UdpSocket UdpSocket::open(const UdpOptions& options) {
    UdpSocket out;
    out.v6_ = options.bind.address.is_v6();
    out.fd_.reset(
        ::socket(out.v6_ ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!out.fd_) {
        throw_errno(out.v6_ ? "cannot create an IPv6 UDP socket" : "cannot create a UDP socket");
    }
    out.configure(options);
    sockaddr_storage name{};
    const socklen_t size = fill_name(options.bind, name);
    if (::bind(out.fd_.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0) {
        throw_errno("cannot bind UDP " + options.bind.text());
    }
    out.read_name();
    return out;
}

UdpSocket UdpSocket::adopt(UniqueFd fd) {
    UdpSocket out;
    out.fd_ = std::move(fd);
    out.read_name();
    out.v6_ = out.local_.address.is_v6();
    out.receive_buffer_ = get_buffer(out.fd_.get(), SO_RCVBUF);
    out.send_buffer_ = get_buffer(out.fd_.get(), SO_SNDBUF);
    return out;
}

void UdpSocket::read_name() {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
        throw_errno("cannot read the address of a UDP socket");
    }
    if (name.ss_family != AF_INET && name.ss_family != AF_INET6) {
        throw_error(EAFNOSUPPORT, "a descriptor is no UDP socket");
    }
    local_ = endpoint_of(name);
}

int UdpSocket::send(const Endpoint& to,
                    const std::optional<IpAddress>& source,
                    std::span<const iovec> data,
                    std::uint16_t segment_size,
                    std::uint8_t tos) const noexcept {
    if (to.address.is_v6() != v6_ || (source && source->is_v6() != v6_)) {
        return EAFNOSUPPORT;
    }
    sockaddr_storage name;
    msghdr message{};
    message.msg_namelen = fill_name(to, name);
    message.msg_name = &name;
    message.msg_iov = const_cast<iovec*>(data.data());
    message.msg_iovlen = data.size();
    ControlWriter control{message};
    if (source) {
        add_source(control, *source);
    }
    if (segment_size != 0) {
        control.add(IPPROTO_UDP, UDP_SEGMENT, segment_size);
    }
    if (tos != 0) {
        v6_ ? control.add(IPPROTO_IPV6, IPV6_TCLASS, int{tos})
            : control.add(IPPROTO_IP, IP_TOS, int{tos});
    }
    while (::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

Received UdpSocket::receive(ReceiveSlots& slots) const noexcept {
    slots.rearm();
    const int count = ::recvmmsg(fd_.get(),
                                 slots.messages_.data(),
                                 static_cast<unsigned>(slots.messages_.size()),
                                 MSG_DONTWAIT,
                                 nullptr);
    if (count < 0) {
        return {errno, {}};
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        msghdr& header = slots.messages_[i].msg_hdr;
        const std::size_t size =
            std::min<std::size_t>(slots.messages_[i].msg_len, slots.slot_bytes_);
        Datagram& out = slots.datagrams_[i];
        out = Datagram{};
        out.from = endpoint_of(slots.names_[i]);
        out.bytes = {slots.memory_.data() + i * slots.slot_bytes_, size};
        out.segment_size = static_cast<std::uint16_t>(std::min<std::size_t>(size, 65535));
        out.truncated = (header.msg_flags & MSG_TRUNC) != 0;
        read_control(header, out);
    }
    return {0, std::span{slots.datagrams_}.first(static_cast<std::size_t>(count))};
}

std::uint32_t UdpSocket::kernel_drops() const noexcept {
    std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
    socklen_t size = sizeof values;
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, values.data(), &size) != 0) {
        return 0;
    }
    return values[SK_MEMINFO_DROPS];
}

void attach_lane_steering(const UdpSocket& socket, unsigned lanes) {
    // The filter sees the datagram from the first byte of its UDP payload; a load past the end
    // gives socket 0.
    std::array<sock_filter, 4> code{{
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 4},
        {BPF_ALU | BPF_AND | BPF_K, 0, 0, 63},
        {BPF_ALU | BPF_MOD | BPF_K, 0, 0, std::max(lanes, 1u)},
        {BPF_RET | BPF_A, 0, 0, 0},
    }};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::setsockopt(socket.fd(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) !=
        0) {
        throw_errno("cannot steer UDP datagrams to their lanes");
    }
}

std::optional<IpAddress> source_towards(const Endpoint& to) noexcept {
    sockaddr_storage name{};
    socklen_t size = fill_name(to, name);
    const int family = to.address.is_v4() ? AF_INET : AF_INET6;
    const UniqueFd socket{::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    // Connecting a datagram socket looks the route up and nothing more.
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0) {
        return std::nullopt;
    }
    size = sizeof name;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
        return std::nullopt;
    }
    return endpoint_of(name).address;
}

} // namespace weave::os
