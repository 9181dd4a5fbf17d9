// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>

namespace weave::cni {

/** Runs all of them, whatever fails, and then throws what the first that failed threw. */
class Steps {
  public:
    template <class Work> void run(const Work& work) {
        try {
            work();
        } catch (const std::exception&) {
            if (!first_) {
                first_ = std::current_exception();
            }
        }
    }

    void finish() const {
        if (first_) {
            std::rethrow_exception(first_);
        }
    }

  private:
    std::exception_ptr first_;
};

} // namespace weave::cni
