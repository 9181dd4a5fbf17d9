// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace weave::mesh {

/** Tells whether any two nodes have one name: where not, nobody has to compare them. 4 bytes a
 * node; names with one hash count as one name. One thread. */
class Names {
  public:
    void add(std::string_view name) {
        const std::uint32_t hash = hash_of(name);
        const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
        shared_ += at != hashes_.end() && *at == hash ? 1U : 0U;
        hashes_.insert(at, hash);
    }

    /** One that was added. */
    void remove(std::string_view name) {
        const std::uint32_t hash = hash_of(name);
        const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
        if (at != hashes_.end() && *at == hash) {
            const auto after = hashes_.erase(at);
            shared_ -= after != hashes_.end() && *after == hash ? 1U : 0U;
        }
    }

    [[nodiscard]] bool any_shared() const { return shared_ > 0; }

    [[nodiscard]] bool shared(std::string_view name) const {
        const auto [begin, end] = std::equal_range(hashes_.begin(), hashes_.end(), hash_of(name));
        return end - begin > 1;
    }

  private:
    static std::uint32_t hash_of(std::string_view name) {
        return static_cast<std::uint32_t>(std::hash<std::string_view>{}(name));
    }

    std::vector<std::uint32_t> hashes_;
    std::size_t shared_ = 0;
};

} // namespace weave::mesh
