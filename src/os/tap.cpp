// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/tap.hpp"

#include "os/error.hpp"

#include <array>
#include <cstdio>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>

namespace weave::os {
namespace {

// TUN_F_USO4 and TUN_F_USO6 of Linux 6.2; older headers lack them.
constexpr unsigned kUso = 0x20 | 0x40;
constexpr unsigned kTso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

UniqueFd open_device() {
    UniqueFd fd{::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (fd) {
        return fd;
    }
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        throw_sentence(
            errno,
            "cannot open /dev/net/tun: the kernel has no TUN driver (modprobe tun), or the "
            "container was not given the device");
    case EACCES:
    case EPERM:
        throw_sentence(
            errno,
            "cannot open /dev/net/tun: no permission (a container needs the device and NET_ADMIN)");
    default:
        throw_errno("cannot open /dev/net/tun");
    }
}

void bind_queue(int fd, const TapOptions& options) {
    ifreq request{};
    options.name.copy(request.ifr_name, IFNAMSIZ - 1);
    const int flags =
        IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (options.queues > 1 ? IFF_MULTI_QUEUE : 0);
    request.ifr_flags = static_cast<short>(flags);
    if (::ioctl(fd, TUNSETIFF, &request) == 0) {
        return;
    }
    const std::string what = "cannot open TAP device " + options.name;
    switch (errno) {
    case EPERM:
        throw_sentence(errno, what + ": the capability NET_ADMIN is needed");
    case EBUSY:
        throw_sentence(errno, what + ": another process holds it");
    case EINVAL:
        throw_sentence(
            errno,
            what + ": an interface of this name exists and is not a fitting TAP device, or another "
                   "process holds it");
    case ENOTTY:
        throw_sentence(errno, "/dev/net/tun is not the TUN device");
    default:
        throw_errno(what);
    }
}

TapFeatures set_offloads(int fd) {
    if (::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(kTso | kUso)) == 0) {
        return {.tso = true, .uso = true};
    }
    if (::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(kTso)) == 0) {
        return {.tso = true, .uso = false};
    }
    return {};
}

} // namespace

bool passes_coalesced_udp(const std::string& release) {
    std::array<unsigned, 3> version{};
    const int read =
        std::sscanf(release.c_str(), "%u.%u.%u", &version[0], &version[1], &version[2]);
    return read >= 2 && version >= std::array<unsigned, 3>{6, 8, 5};
}

std::string kernel_release() {
    utsname name{};
    return ::uname(&name) == 0 ? name.release : "";
}

Tap open_tap(const TapOptions& options) {
    if (options.name.empty() || options.name.size() >= IFNAMSIZ || options.queues == 0) {
        throw_sentence(EINVAL,
                       "cannot open TAP device '" + options.name +
                           "': the name needs 1 to 15 characters");
    }
    Tap tap;
    for (unsigned i = 0; i < options.queues; ++i) {
        UniqueFd fd = open_device();
        bind_queue(fd.get(), options);
        int header = kVnetHeaderSize;
        if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header) != 0) {
            throw_errno("cannot set the header size of TAP device " + options.name);
        }
        tap.features = set_offloads(fd.get());
        tap.queues.push_back(std::move(fd));
    }
    return tap;
}

std::string tap_name(int queue) {
    ifreq request{};
    return ::ioctl(queue, TUNGETIFF, &request) == 0 ? std::string{request.ifr_name} : std::string{};
}

} // namespace weave::os
