// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weave::daemon {

/**
 * In which network namespaces programs use the addresses that they hold (weave-ipam under another
 * main plugin): no link of ours tells whether such a container is still there. A checked file,
 * written before anything is answered; a damaged one is kept aside and told by notice(). Control
 * thread only. Throws std::system_error with a sentence.
 */
class Programs {
  public:
    struct Use {
        /** Namespaces of an earlier boot are gone. */
        std::string boot;
        /** The namespace's inode number. */
        std::uint64_t netns = 0;
        std::vector<Prefix> addresses;
    };

    explicit Programs(std::string file);

    void keep(const std::string& holder, Use use);
    void forget(const std::string& holder);

    [[nodiscard]] const std::map<std::string, Use>& all() const { return uses_; }

    /** It said where it uses them, and that namespace is gone. */
    [[nodiscard]] bool is_gone(const std::string& holder) const;

    /** A sentence when the file was damaged. */
    [[nodiscard]] const std::string& notice() const { return notice_; }

  private:
    void load(const std::string& text);
    void save(std::map<std::string, Use> uses);

    std::string file_;
    std::string notice_;
    std::map<std::string, Use> uses_;
};

} // namespace weave::daemon
