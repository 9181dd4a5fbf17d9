// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/netns.hpp"

#include <weave/error.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace weave::cli {

namespace {

constexpr unsigned long kGetNamespaceType = 0xb703; // NS_GET_NSTYPE, ioctl_ns(2)

/** Where a namespace of that text can be, the likeliest first. */
std::vector<std::string> candidates(const std::string& text) {
    if (text.find('/') != std::string::npos) {
        return {text};
    }
    std::vector<std::string> out{"/run/netns/" + text, "/var/run/netns/" + text};
    const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c >= '0' && c <= '9';
    });
    if (digits) {
        out.insert(out.begin(), "/proc/" + text + "/ns/net");
    }
    return out;
}

} // namespace

api::Descriptor open_netns(const std::string& text) {
    if (text.empty()) {
        throw Error(Errc::invalid,
                    "NETNS is empty: give a pid, a name of 'ip netns list' or a path");
    }
    for (const std::string& path : candidates(text)) {
        // Without blocking: the path may be a pipe.
        api::Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (fd) {
            if (::ioctl(fd.get(), kGetNamespaceType) != CLONE_NEWNET) {
                throw Error(Errc::invalid,
                            path + " is not a network namespace: give a pid, a name of "
                                   "'ip netns list' or a path such as /proc/PID/ns/net");
            }
            return fd;
        }
        if (errno == EACCES || errno == EPERM) {
            throw Error(
                Errc::permission,
                "no permission to open " + path +
                    (::geteuid() != 0
                         ? ": run as root"
                         : ": root here lacks CAP_SYS_PTRACE or is of another container; "
                           "run this on the host, or give a path or a name of 'ip netns list'"));
        }
        if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) {
            throw std::runtime_error("cannot open " + path + ": " +
                                     std::system_category().message(errno));
        }
    }
    throw Error(Errc::not_found,
                "there is no network namespace or process '" + text +
                    "': give a pid, a name of 'ip netns list' or a path");
}

} // namespace weave::cli
