// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "wire/record.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace weave::sim {

/**
 * The records of all nodes: a thousand of them hold each record, and one object does for all. Only
 * what somebody holds is in it. To be given to the nodes as ports.
 */
class Archive {
  public:
    Archive();

    /** Equal bytes give the same object for as long as somebody holds it. */
    Result<wire::RecordPtr> decode(ByteView raw);
    /** Looks at each object that decode() gave once, and at any other each time. */
    bool verify(const wire::Record& record);

    [[nodiscard]] std::size_t size() const;

    /** Signatures that were looked at. */
    [[nodiscard]] std::uint64_t verified() const { return verified_; }

  private:
    struct Table;
    struct Held;

    /** Outlives us where a record does. */
    std::shared_ptr<Table> table_;
    std::uint64_t verified_ = 0;
};

} // namespace weave::sim
