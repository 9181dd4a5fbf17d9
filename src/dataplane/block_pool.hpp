// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <utility>

namespace weave::dataplane {

/**
 * Blocks of one size, a fixed number of them. Their memory is claimed from the system at
 * construction and takes room once it is used; what is given back is used first. One thread.
 */
class BlockPool final : public std::pmr::memory_resource {
  public:
    static constexpr std::size_t kBlockSize = 512;

    explicit BlockPool(std::size_t blocks)
        : memory_(std::make_unique_for_overwrite<std::byte[]>(blocks * kBlockSize))
        , fresh_(memory_.get())
        , left_(blocks) {}

    /** How many may still be allocated. */
    [[nodiscard]] std::size_t left() const { return left_; }

  private:
    /** A block that was given back. */
    struct Free {
        Free* next;
    };

    /** Throws std::bad_alloc when none is left, or one would not hold so much. */
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        if (left_ == 0 || bytes > kBlockSize || alignment > alignof(std::max_align_t)) {
            throw std::bad_alloc{};
        }
        --left_;
        if (free_ != nullptr) {
            return std::exchange(free_, free_->next);
        }
        return std::exchange(fresh_, fresh_ + kBlockSize);
    }

    void do_deallocate(void* block, std::size_t, std::size_t) override {
        free_ = ::new (block) Free{free_};
        ++left_;
    }

    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
        return this == &other;
    }

    std::unique_ptr<std::byte[]> memory_;
    std::byte* fresh_; ///< what was never used begins here
    Free* free_ = nullptr;
    std::size_t left_;
};

} // namespace weave::dataplane
