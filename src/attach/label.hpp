// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/netlink.hpp"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weave::attach {

inline constexpr std::string_view kPortPrefix = "wv";
inline constexpr std::string_view kAliasMark = "weave|";
/** The alias of a bridge and a TAP of our making. */
inline constexpr const char* kOwnAlias = "weave";

/**
 * What the host end of a pod's link remembers about it, in the kernel, over our restarts:
 * "weave|INODE|IFNAME|ID", or "weave|INODE|IFNAME|ROUTER:MTU|ID" where one of the two is to be
 * told. Names hold neither ':' nor '|', so that both are read as they were written. With the
 * longest names and 200 characters of id it has 255 bytes, which is what the kernel keeps.
 */
struct Label {
    std::uint64_t netns_inode = 0;
    std::string ifname;
    std::string id;
    /** Of a routed pod: the bridge whose host routes it. Empty: the pod is on a bridge. */
    std::string router;
    /** What the pod was given instead of the node's; 0: nothing. */
    unsigned mtu = 0;

    [[nodiscard]] std::string text() const {
        std::string out =
            std::string{kAliasMark} + std::to_string(netns_inode) + '|' + ifname + '|';
        if (!router.empty() || mtu != 0) {
            out += router + ':' + (mtu != 0 ? std::to_string(mtu) : std::string{}) + '|';
        }
        return out + id;
    }

    static std::optional<Label> parse(std::string_view text) {
        if (!text.starts_with(kAliasMark)) {
            return std::nullopt;
        }
        text.remove_prefix(kAliasMark.size());
        Label out;
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), out.netns_inode);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        const auto bar = text.find('|', 1);
        if (error != std::errc{} || !text.starts_with('|') || bar == std::string_view::npos) {
            return std::nullopt;
        }
        out.ifname = text.substr(1, bar - 1);
        text.remove_prefix(bar + 1);
        if (const auto how = text.find('|'); how != std::string_view::npos) {
            if (!out.read_how(text.substr(0, how))) {
                return std::nullopt;
            }
            text.remove_prefix(how + 1);
        }
        out.id = text;
        return out;
    }

  private:
    bool read_how(std::string_view text) {
        const auto colon = text.find(':');
        if (colon == std::string_view::npos) {
            return false;
        }
        router = text.substr(0, colon);
        text.remove_prefix(colon + 1);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mtu);
        return text.empty() || (error == std::errc{} && end == text.data() + text.size());
    }
};

/** The host end of a pod's link of ours. */
inline bool is_port(const os::Link& link) {
    return link.kind == "veth" && link.name.starts_with(kPortPrefix) && Label::parse(link.alias);
}

} // namespace weave::attach
