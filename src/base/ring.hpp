// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace weave {

/**
 * Bounded single-producer single-consumer ring of reusable slots. One thread calls
 * claim()/publish(), one thread front()/release(); neither ever blocks or allocates after
 * construction. Slots are reused as they are: a producer overwrites what it needs.
 */
template <class Slot> class SpscRing {
  public:
    /** `capacity` must be a power of two. */
    explicit SpscRing(std::size_t capacity)
        : mask_(capacity - 1)
        , slots_(std::make_unique<Slot[]>(capacity)) {}

    /** Calls `prepare` with each slot once, before any is in use. */
    template <class Prepare>
    SpscRing(std::size_t capacity, const Prepare& prepare)
        : SpscRing(capacity) {
        for (std::size_t i = 0; i < capacity; ++i) {
            prepare(slots_[i]);
        }
    }

    SpscRing(const SpscRing&) = delete;
    SpscRing& operator=(const SpscRing&) = delete;

    /** The slot to fill next, or nullptr when the ring is full. */
    [[nodiscard]] Slot* claim() {
        const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_.load(std::memory_order_acquire) > mask_) {
            return nullptr;
        }
        return &slots_[tail & mask_];
    }

    /** The producer's view of how many slots it can still fill: at least so many. */
    [[nodiscard]] std::size_t free_slots() const {
        const std::uint64_t used =
            tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire);
        return static_cast<std::size_t>(mask_ + 1 - used);
    }

    [[nodiscard]] std::size_t capacity() const { return static_cast<std::size_t>(mask_ + 1); }

    /** Hands the claimed slot over. True when the consumer may have been asleep (the ring was
     * empty). */
    bool publish() {
        const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
        tail_.store(tail + 1, std::memory_order_seq_cst);
        return head_.load(std::memory_order_seq_cst) == tail;
    }

    /** The oldest slot, or nullptr when the ring is empty. */
    [[nodiscard]] Slot* front() {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        return head == tail_.load(std::memory_order_seq_cst) ? nullptr : &slots_[head & mask_];
    }

    /** The slot `ahead` places behind front(), or nullptr when so many do not wait. */
    [[nodiscard]] Slot* peek(std::size_t ahead) {
        const std::uint64_t at = head_.load(std::memory_order_relaxed) + ahead;
        return at >= tail_.load(std::memory_order_seq_cst) ? nullptr : &slots_[at & mask_];
    }

    /** Gives the `count` oldest slots back to the producer. */
    void release(std::size_t count = 1) {
        head_.store(head_.load(std::memory_order_relaxed) + count, std::memory_order_seq_cst);
    }

  private:
    std::uint64_t mask_;
    std::unique_ptr<Slot[]> slots_;
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    alignas(64) std::atomic<std::uint64_t> head_{0};
};

} // namespace weave
