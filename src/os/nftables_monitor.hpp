// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/fd.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string_view>

namespace weave::os {

/** One change of the nftables ruleset, as the kernel told it. Valid during the call only. */
struct NftablesChange {
    std::string_view table;
    /** Of a chain or a rule; empty for the rest. */
    std::string_view chain;
    bool removed = false;
    /** A chain that hangs on a hook was made, or its policy changed. */
    bool base_chain = false;
};

/** Tells what others change in the nftables ruleset of the network namespace it was made in. One
 * thread at a time. */
class NftablesMonitor {
  public:
    /** Throws std::system_error with a sentence, also on a kernel without nftables. */
    NftablesMonitor();

    /** Readable when anybody changed something. Non-blocking. */
    [[nodiscard]] int fd() const { return fd_.get(); }

    /** The transaction that made this generation (NftablesQuery::generation()) is no news. */
    void ignore(std::uint32_t generation);

    /** Takes all that waits; true when `concerns` said so of any change, or when notifications were
     * lost. */
    bool drain(const std::function<bool(const NftablesChange&)>& concerns);

  private:
    /** As many as can wait in the socket are few; beyond that we look once too often. */
    static constexpr std::size_t kMaxIgnored = 1024;

    bool end_of(std::uint32_t generation);

    UniqueFd fd_;
    std::set<std::uint32_t> ignored_;
    bool pending_ = false; ///< of a transaction whose end was not yet told
};

} // namespace weave::os
