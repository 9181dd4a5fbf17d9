// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct mnl_socket;
struct nlmsghdr;

namespace weave::os {

/** A named counter of an nftables table. */
struct NftablesCounter {
    std::string name;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

/**
 * Questions about the nftables ruleset of the network namespace it was made in, whose answers cost
 * what they are worth: libnftables 1.0.6 reads every set of the host first. Blocking; one thread at
 * a time. Throws std::system_error with a sentence.
 */
class NftablesQuery {
  public:
    NftablesQuery();
    NftablesQuery(NftablesQuery&&) noexcept;
    NftablesQuery& operator=(NftablesQuery&&) noexcept;
    ~NftablesQuery();

    /** Rises by one with each transaction, whoever makes it. */
    std::uint32_t generation();
    /** Of all tables of that name, in all families. */
    std::vector<NftablesCounter> counters(const std::string& table);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };

    int ask(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into);

    std::unique_ptr<mnl_socket, Close> socket_;
    std::uint32_t sequence_ = 0;
};

} // namespace weave::os
