// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/frames.hpp"

namespace weave::fastpath {

FreeFrames::FreeFrames(std::uint64_t start, std::size_t count, std::size_t size)
    : start_(start)
    , size_(size)
    , total_(count)
    , here_(count, true) {
    free_.reserve(count);
    for (std::size_t i = count; i > 0; --i) {
        free_.push_back(start + (i - 1) * size);
    }
}

std::uint64_t FreeFrames::take() {
    const std::uint64_t offset = free_.back();
    free_.pop_back();
    here_[(offset - start_) / size_] = false;
    return offset;
}

bool FreeFrames::give_back(std::uint64_t offset) {
    // The kernel may name any byte inside a frame.
    const std::uint64_t index = (offset - start_) / size_;
    if (offset < start_ || index >= total_ || here_[index]) {
        return false;
    }
    here_[index] = true;
    free_.push_back(start_ + index * size_);
    return true;
}

} // namespace weave::fastpath
