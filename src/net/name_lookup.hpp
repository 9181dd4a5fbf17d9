// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weave::net {

/**
 * Asks the host for the addresses of names. getaddrinfo() blocks for as long as a name server is
 * silent and cannot be cancelled, so each question has a thread of its own, up to kMaxThreads, and
 * nobody waits for one: not the other questions, nor the end of the process. The io_context's
 * thread.
 */
class NameLookup {
  public:
    struct Answer {
        std::vector<IpAddress> addresses; ///< each once
        std::string error;                ///< why there are none
    };

    using Lookup = std::function<Answer(const std::string& host)>;

    /** `lookup` is called on other threads, also after this object is gone. */
    explicit NameLookup(boost::asio::io_context& io, Lookup lookup = system_lookup);
    ~NameLookup();
    NameLookup(const NameLookup&) = delete;
    NameLookup& operator=(const NameLookup&) = delete;

    /** Calls `done` later on the io_context's thread, unless this object is gone by then. */
    void ask(const std::string& host, std::function<void(const Answer&)> done);

    static Answer system_lookup(const std::string& host);

    static constexpr std::size_t kMaxThreads = 16;

    struct Shared;

  private:
    std::shared_ptr<Shared> shared_;
};

} // namespace weave::net
