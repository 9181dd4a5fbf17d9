// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/error.hpp"
#include "os/netlink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

/** How Netlink writes requests and reads answers: for its own files. */
namespace weave::os {

/** A request under construction. Ours are short: names, two MACs, an alias. */
class Request {
  public:
    template <class Family> Request(std::uint16_t type, int flags, Family family) {
        header_ = mnl_nlmsg_put_header(buffer_);
        header_->nlmsg_type = type;
        header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        *static_cast<Family*>(mnl_nlmsg_put_extra_header(header_, sizeof(Family))) = family;
    }

    [[nodiscard]] nlmsghdr* get() { return header_; }

  private:
    alignas(8) std::uint8_t buffer_[2048]{};
    nlmsghdr* header_;
};

inline void put_mac(nlmsghdr* message, const MacAddress& mac) {
    mnl_attr_put(message, IFLA_ADDRESS, mac.octets.size(), mac.octets.data());
}

inline void put_ip(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
    mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
}

inline unsigned char family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

/** Attributes by type; those above the table's end are skipped. */
template <std::size_t N> using Attributes = std::array<const nlattr*, N>;

template <std::size_t N> int keep_attribute(const nlattr* attribute, void* into) {
    auto& table = *static_cast<Attributes<N>*>(into);
    if (mnl_attr_get_type(attribute) < N) {
        table[mnl_attr_get_type(attribute)] = attribute;
    }
    return MNL_CB_OK;
}

template <std::size_t N> Attributes<N> attributes_of(const nlmsghdr* message, std::size_t extra) {
    Attributes<N> table{};
    mnl_attr_parse(message, static_cast<unsigned>(extra), keep_attribute<N>, &table);
    return table;
}

inline std::uint32_t u32_of(const nlattr* attribute, std::uint32_t otherwise = 0) {
    return attribute != nullptr ? mnl_attr_get_u32(attribute) : otherwise;
}

inline std::uint8_t u8_of(const nlattr* attribute) {
    return attribute != nullptr ? mnl_attr_get_u8(attribute) : std::uint8_t{0};
}

inline std::string text_of(const nlattr* attribute) {
    return attribute != nullptr ? std::string{mnl_attr_get_str(attribute)} : std::string{};
}

inline MacAddress mac_of(const nlattr* attribute) {
    MacAddress out;
    if (attribute != nullptr && mnl_attr_get_payload_len(attribute) == out.octets.size()) {
        const auto* octets = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
        std::copy_n(octets, out.octets.size(), out.octets.begin());
    }
    return out;
}

inline std::optional<IpAddress> ip_of(const nlattr* attribute) {
    if (attribute == nullptr) {
        return std::nullopt;
    }
    return IpAddress::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                                  mnl_attr_get_payload_len(attribute)});
}

template <class T>
std::vector<T>
Netlink::dump(nlmsghdr* message, const char* what, bool (*parse)(const nlmsghdr*, T&)) {
    struct Collector {
        std::vector<T> items;
        bool (*parse)(const nlmsghdr*, T&);
    };

    const auto collect = [](const nlmsghdr* part, void* into) -> int {
        auto* collector = static_cast<Collector*>(into);
        T item{};
        if (collector->parse(part, item)) {
            collector->items.push_back(std::move(item));
        }
        return MNL_CB_OK;
    };
    constexpr int kAttempts = 10; // EINTR: the table changed under the dump
    int error = EINTR;
    for (int attempt = 0; attempt < kAttempts && error == EINTR; ++attempt) {
        Collector collector{{}, parse};
        error = run_dump(message, collect, &collector);
        if (error == 0) {
            return std::move(collector.items);
        }
    }
    throw_error(error, std::string{"cannot list "} + what);
}

} // namespace weave::os
