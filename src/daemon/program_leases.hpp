// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/allocations.hpp"
#include "daemon/programs.hpp"

namespace weave::daemon {

/** What programs hold of the address range, and where they use it: both are kept and given back
 * together. Control thread only. Throws std::system_error with a sentence. */
class ProgramLeases {
  public:
    ProgramLeases(std::string file, Allocations& allocations)
        : programs_(std::move(file))
        , allocations_(allocations) {}

    /** Before the first allocation: programs' containers that are there have what they had,
     * whatever was written down; those that are gone give it back. */
    void settle();
    /** Where the holder, which has these addresses now, uses them. */
    void keep(const std::string& holder, std::uint64_t netns, std::vector<Prefix> addresses);
    /** All that it has; what it had. */
    std::vector<IpAddress> release(const std::string& holder);
    /** One of a program's or person's: a container that runs does not claim it at the next start.
     */
    void release_place(const std::string& holder, ipam::Index place);

    /** It said where it uses them, and that namespace is gone. */
    [[nodiscard]] bool is_gone(const std::string& holder) const {
        return programs_.is_gone(holder);
    }

    /** A sentence when the file was damaged. */
    [[nodiscard]] const std::string& notice() const { return programs_.notice(); }

  private:
    Programs programs_;
    Allocations& allocations_;
};

} // namespace weave::daemon
