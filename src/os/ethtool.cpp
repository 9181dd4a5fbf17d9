// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/ethtool.hpp"

#include "os/fd.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace weave::os {
namespace {

/** ioctl requests that end in an array. */
class Variable {
  public:
    Variable(std::size_t head, std::size_t tail)
        : words_((head + tail + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t)) {}

    template <class T> T& as() { return *reinterpret_cast<T*>(words_.data()); }

  private:
    std::vector<std::uint64_t> words_;
};

class Ethtool {
  public:
    explicit Ethtool(std::string interface)
        : interface_(std::move(interface))
        , socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

    bool ask(void* request) const {
        ifreq call{};
        interface_.copy(call.ifr_name, sizeof call.ifr_name - 1);
        call.ifr_data = static_cast<char*>(request);
        return socket_ && ::ioctl(socket_.get(), SIOCETHTOOL, &call) == 0;
    }

    /** How many features there are, by name and number. */
    [[nodiscard]] std::uint32_t feature_count() const {
        Variable request{sizeof(ethtool_sset_info), sizeof(std::uint32_t)};
        auto& info = request.as<ethtool_sset_info>();
        info.cmd = ETHTOOL_GSSET_INFO;
        info.sset_mask = std::uint64_t{1} << ETH_SS_FEATURES;
        return ask(&info) && info.sset_mask != 0 ? info.data[0] : 0;
    }

  private:
    std::string interface_;
    UniqueFd socket_;
};

bool is_on(ethtool_gfeatures& features, std::uint32_t number) {
    return (features.features[number / 32].active >> (number % 32) & 1) != 0;
}

} // namespace

Offloads offloads(const std::string& interface) {
    const Ethtool ethtool{interface};
    const std::uint32_t count = ethtool.feature_count();
    Variable names{sizeof(ethtool_gstrings), std::size_t{count} * ETH_GSTRING_LEN};
    auto& strings = names.as<ethtool_gstrings>();
    strings.cmd = ETHTOOL_GSTRINGS;
    strings.string_set = ETH_SS_FEATURES;
    strings.len = count;
    const std::uint32_t blocks = (count + 31) / 32;
    Variable values{sizeof(ethtool_gfeatures), blocks * sizeof(ethtool_get_features_block)};
    auto& features = values.as<ethtool_gfeatures>();
    features.cmd = ETHTOOL_GFEATURES;
    features.size = blocks;
    Offloads out;
    if (count == 0 || !ethtool.ask(&strings) || !ethtool.ask(&features)) {
        return out;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto* text = reinterpret_cast<const char*>(strings.data + i * ETH_GSTRING_LEN);
        const std::string_view name{text, ::strnlen(text, ETH_GSTRING_LEN)};
        out.tso = out.tso || (name == "tx-tcp-segmentation" && is_on(features, i));
        out.uso = out.uso || (name == "tx-udp-segmentation" && is_on(features, i));
    }
    return out;
}

unsigned receive_queues(const std::string& interface) {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    const bool told = Ethtool{interface}.ask(&channels);
    return told ? std::max(1U, channels.rx_count + channels.combined_count) : 1;
}

} // namespace weave::os
