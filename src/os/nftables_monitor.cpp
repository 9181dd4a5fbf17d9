// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/nftables_monitor.hpp"

#include "os/error.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

namespace weave::os {
namespace {

/** How much may wait while the reader is busy, in bytes; what is beyond it counts as a change. */
constexpr int kReceiveBuffer = 256 * 1024;

std::string_view text_of(const nlattr* attribute) {
    return mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0
               ? std::string_view{}
               : std::string_view{mnl_attr_get_str(attribute)};
}

/** The message's kind, NFT_MSG_...; nullopt when it is none of nftables. */
std::optional<unsigned> kind_of(const nlmsghdr* message) {
    if ((message->nlmsg_type >> 8) != NFNL_SUBSYS_NFTABLES ||
        mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) {
        return std::nullopt;
    }
    return message->nlmsg_type & 0xffU;
}

/** Calls `each` with the message's attributes. */
template <class Each> void for_attributes(const nlmsghdr* message, Each each) {
    const auto* const end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
    const auto* attribute =
        static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
    for (; mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
         attribute = mnl_attr_next(attribute)) {
        each(mnl_attr_get_type(attribute), attribute);
    }
}

/** Of a message of kind NFT_MSG_NEWGEN. */
std::uint32_t generation_of(const nlmsghdr* message) {
    std::uint32_t out = 0;
    for_attributes(message, [&](unsigned type, const nlattr* attribute) {
        if (type == NFTA_GEN_ID && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0) {
            out = be32toh(mnl_attr_get_u32(attribute));
        }
    });
    return out;
}

/** Of a message of any other kind. */
NftablesChange parse(const nlmsghdr* message, unsigned kind) {
    const bool is_chain = kind == NFT_MSG_NEWCHAIN || kind == NFT_MSG_DELCHAIN;
    const bool is_rule = kind == NFT_MSG_NEWRULE || kind == NFT_MSG_DELRULE;
    const unsigned chain_name = is_chain ? unsigned{NFTA_CHAIN_NAME} : unsigned{NFTA_RULE_CHAIN};
    NftablesChange out;
    out.removed = kind == NFT_MSG_DELTABLE || kind == NFT_MSG_DELCHAIN || kind == NFT_MSG_DELRULE;
    for_attributes(message, [&](unsigned type, const nlattr* attribute) {
        if (type == NFTA_TABLE_NAME) { // number 1 names the table in every kind of message
            out.table = text_of(attribute);
        } else if ((is_chain || is_rule) && type == chain_name) {
            out.chain = text_of(attribute);
        } else if (is_chain && type == NFTA_CHAIN_HOOK) {
            out.base_chain = true;
        }
    });
    return out;
}

} // namespace

NftablesMonitor::NftablesMonitor()
    : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER)) {
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTABLES;
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 ||
        ::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
        throw_errno("cannot watch nftables: is nf_tables in the kernel, and are we root?");
    }
    // A smaller buffer only means more checks for nothing.
    (void)::setsockopt(
        fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
}

void NftablesMonitor::ignore(std::uint32_t generation) {
    if (ignored_.size() < kMaxIgnored) {
        ignored_.insert(generation);
    }
}

/** Whether the transaction that ends here was news. The kernel tells its changes first, and then
 * the generation it made. */
bool NftablesMonitor::end_of(std::uint32_t generation) {
    const bool own = ignored_.contains(generation);
    ignored_.erase(ignored_.begin(), ignored_.upper_bound(generation));
    return std::exchange(pending_, false) && !own;
}

bool NftablesMonitor::drain(const std::function<bool(const NftablesChange&)>& concerns) {
    alignas(nlmsghdr) std::array<std::uint8_t, 32768> buffer;
    bool found = false;
    while (true) {
        const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == ENOBUFS) {
            found = true; // some were lost
            pending_ = false;
            continue;
        }
        if (got <= 0) {
            return found;
        }
        int left = static_cast<int>(got);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            const auto kind = kind_of(message);
            if (kind == NFT_MSG_NEWGEN) {
                found = end_of(generation_of(message)) || found;
            } else if (kind && kind != NFT_MSG_TRACE) {
                pending_ = pending_ || concerns(parse(message, *kind));
            }
        }
    }
}

} // namespace weave::os
