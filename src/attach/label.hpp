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

/** What the host end of a pod's link remembers about it, in the kernel, over our restarts. */
struct Label {
    std::uint64_t netns_inode = 0;
    std::string ifname;
    std::string id;

    [[nodiscard]] std::string text() const {
        return std::string{kAliasMark} + std::to_string(netns_inode) + '|' + ifname + '|' + id;
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
        out.id = text.substr(bar + 1);
        return out;
    }
};

/** The host end of a pod's link of ours. */
inline bool is_port(const os::Link& link) {
    return link.kind == "veth" && link.name.starts_with(kPortPrefix) && Label::parse(link.alias);
}

} // namespace weave::attach
