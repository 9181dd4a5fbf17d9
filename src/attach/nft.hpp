// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "os/nftables_monitor.hpp"
#include "os/nftables_query.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <vector>

struct nft_ctx;

namespace weave::attach {

/**
 * libnftables, bound to the network namespace it was opened in. Commands are in the language of
 * nft(8). Blocking; one thread at a time. Throws std::system_error whose sentence reads "cannot
 * WHAT: " and the library's reason.
 */
class Nft {
  public:
    /** `monitor` is not told of what run() changes; it outlives the object. */
    explicit Nft(os::NftablesMonitor& monitor);

    /** All commands in one transaction. */
    void run(const std::string& commands, const std::string& what);
    /** The text that listing commands print, without counters and timeouts. */
    std::string list(const std::string& commands, const std::string& what);
    /** The array "nftables" of libnftables-json(5). */
    nlohmann::json list_json(const std::string& commands, const std::string& what);
    /** The named counters of all tables of that name. */
    std::vector<os::NftablesCounter> counters(const std::string& table);

  private:
    struct Free {
        void operator()(nft_ctx* context) const;
    };

    const char* execute(const std::string& commands, const std::string& what, unsigned flags);

    os::NftablesMonitor& monitor_;
    os::NftablesQuery query_; // before context_: libnftables ends the process where this one throws
    std::unique_ptr<nft_ctx, Free> context_;
};

} // namespace weave::attach
