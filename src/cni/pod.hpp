// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/environment.hpp"
#include "cni/result.hpp"
#include "os/fd.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace weave::cni {

/** The namespace that the runtime names, seen from inside. Making its interface is weaved's. */
class Pod {
  public:
    /**
     * Opens it. Throws Failure: invalid_environment (not there, or no network namespace),
     * invalid_netns (the plugin's own), io_failure.
     */
    explicit Pod(const Environment& environment);

    [[nodiscard]] int fd() const { return fd_.get(); }

    [[nodiscard]] std::uint64_t inode() const;

    /** Throws Failure (conflict) when there is an interface of that name. */
    void require_free() const;

    /** Adds routes to the interface; those that are there already are no error. Throws Failure. */
    void add_routes(const std::vector<Route>& routes) const;

    /** Of each of them, whether the interface has it. */
    [[nodiscard]] std::vector<bool> has_routes(const std::vector<Route>& routes) const;

    /**
     * What is wrong, or nothing: the interface is there and up, with the addresses and the routes
     * that the result says; more of them is no error.
     */
    [[nodiscard]] std::string find_mismatch(const Result& expected) const;

  private:
    std::string path_;
    std::string ifname_;
    os::UniqueFd fd_;
};

/**
 * Throws Failure (mismatch) unless `find_mismatch` finds nothing. Looks again for so long: what was
 * just made may need a moment.
 */
void await_match(const std::function<std::string()>& find_mismatch,
                 std::chrono::milliseconds patience);

/** Those of a result that an interface of a namespace has; of one without a list of interfaces,
 * all. */
std::vector<Ip>
addresses_of(const Result& result, const std::string& ifname, const std::string& sandbox);

} // namespace weave::cni
