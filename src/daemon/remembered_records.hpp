// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "mesh/store.hpp"
#include "wire/link_message.hpp"
#include "wire/record.hpp"

#include <string>
#include <vector>

namespace weave::daemon {

/**
 * The mesh's records in a file of the run folder, for the next weaved should this one crash: it
 * knows at once whom to shake hands with, and where. Records are public and signed. After an
 * orderly end there is no file, as others may have changed by the next start. Control thread only;
 * failures are logged, no more.
 */
class RememberedRecords {
  public:
    explicit RememberedRecords(const std::string& run_dir);

    /** What a weaved that crashed left; nothing where the file is missing or damaged. */
    std::vector<wire::RecordPtr> recall();
    /** Writes what changed, at most once a second. */
    void review(const mesh::Store& store, TimePoint now);
    /** Orderly end. */
    void forget();

  private:
    std::string file_;
    wire::BucketDigest written_{};
    TimePoint next_{};
    bool failed_ = false;
};

} // namespace weave::daemon
