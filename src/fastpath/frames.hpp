// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weave::fastpath {

/**
 * The free frames of one socket, by their offset in the shared memory. The kernel has the others:
 * which come back by its rings, in any order. One thread; no allocation after construction.
 */
class FreeFrames {
  public:
    /** `count` frames of `size` bytes, from `start` on. */
    FreeFrames(std::uint64_t start, std::size_t count, std::size_t size);

    [[nodiscard]] std::size_t count() const { return free_.size(); }

    [[nodiscard]] std::size_t total() const { return total_; }

    /** Of how many the kernel has. */
    [[nodiscard]] std::size_t away() const { return total_ - free_.size(); }

    /** The last that came back, which the cache may still hold. There must be one. */
    std::uint64_t take();
    /** False for an offset that is none of ours, or when all are here already: the kernel, or we,
     * lost count. */
    bool give_back(std::uint64_t offset);

  private:
    std::uint64_t start_;
    std::size_t size_;
    std::size_t total_;
    std::vector<std::uint64_t> free_;
    std::vector<bool> here_;
};

} // namespace weave::fastpath
