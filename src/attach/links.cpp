// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/links.hpp"

#include "os/error.hpp"
#include "os/netns.hpp"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include <sys/random.h>

namespace weave::attach {

std::uint64_t hash_text(ByteView bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const std::uint8_t byte : bytes) {
        hash = (hash ^ byte) * 0x100000001b3;
    }
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93;
    return hash ^ (hash >> 32);
}

MacAddress local_mac(std::uint64_t bits) {
    MacAddress mac;
    mac.octets[0] = 0x02;
    for (std::size_t i = 1; i < mac.octets.size(); ++i) {
        mac.octets[i] = static_cast<std::uint8_t>(bits >> (8 * i));
    }
    return mac;
}

MacAddress random_mac() {
    std::uint64_t bits = 0;
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
        os::throw_errno("cannot get randomness for a MAC address");
    }
    return local_mac(bits);
}

std::vector<Prefix> given_addresses(const std::vector<os::LinkAddress>& all, unsigned index) {
    std::vector<Prefix> out;
    for (const auto& entry : all) {
        const bool made_up = entry.prefix.address.is_v6() && entry.prefix.address.is_link_local();
        if (entry.index == index && !made_up) {
            out.push_back(entry.prefix);
        }
    }
    return out;
}

bool try_sysctl(int netns_fd, const std::string& key, const std::string& value) {
    try {
        os::write_sysctl(netns_fd, key, value);
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

std::vector<Prefix>
add_addresses(os::Netlink& pod, const os::Link& inside, const std::vector<Prefix>& addresses) {
    std::vector<Prefix> added;
    try {
        for (const Prefix& prefix : addresses) {
            if (pod.add_address(inside, prefix)) {
                added.push_back(prefix);
            }
        }
    } catch (const std::system_error&) {
        for (const Prefix& prefix : added) {
            pod.delete_address(inside, prefix);
        }
        throw;
    }
    return added;
}

void await(const std::function<bool()>& done) {
    constexpr int kTries = 100;
    constexpr auto kPause = std::chrono::milliseconds(2);
    for (int tries = 0; tries < kTries && !done(); ++tries) {
        std::this_thread::sleep_for(kPause);
    }
}

void await_addresses(os::Netlink& netlink, const std::vector<Prefix>& addresses) {
    await([&] {
        return std::ranges::all_of(addresses, [&](const Prefix& each) {
            return each.address.is_v4() || netlink.is_local(each.address);
        });
    });
}

} // namespace weave::attach
