// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace weave::sim {

/**
 * What is to happen: by time, and at one time in the order in which it was asked for. What waits
 * can be moved or called off, so that nothing stale waits. Each costs the logarithm of how many
 * wait, and no allocation of its own.
 */
class Agenda {
  public:
    /** Valid until the event begins to run or is called off. */
    using Handle = std::uint32_t;
    static constexpr Handle kNone = std::numeric_limits<Handle>::max();
    /** What an event may capture. */
    static constexpr std::size_t kRoom = 96;

    Agenda() = default;
    Agenda(const Agenda&) = delete;
    Agenda& operator=(const Agenda&) = delete;

    ~Agenda() {
        for (const Entry& entry : heap_) {
            slots_[entry.slot].drop(slots_[entry.slot].room.data());
        }
    }

    template <class Action> Handle add(TimePoint at, Action&& action) {
        using Kept = std::decay_t<Action>;
        static_assert(sizeof(Kept) <= kRoom && alignof(Kept) <= alignof(Slot));
        const Handle handle = free_slot();
        Slot& slot = slots_[handle];
        ::new (slot.room.data()) Kept(std::forward<Action>(action));
        slot.run = [](void* kept) { (*static_cast<Kept*>(kept))(); };
        slot.drop = [](void* kept) { static_cast<Kept*>(kept)->~Kept(); };
        slot.position = heap_.size();
        heap_.push_back({at, order_++, handle});
        rise(slot.position);
        return handle;
    }

    /** To another time, behind what is to happen then. */
    void move(Handle handle, TimePoint at) {
        Entry& entry = heap_[slots_[handle].position];
        entry.at = at;
        entry.order = order_++;
        settle(slots_[handle].position);
    }

    void cancel(Handle handle) {
        slots_[handle].drop(slots_[handle].room.data());
        unlink(handle);
        free_.push_back(handle);
    }

    [[nodiscard]] TimePoint due(Handle handle) const { return heap_[slots_[handle].position].at; }

    [[nodiscard]] bool empty() const { return heap_.empty(); }

    [[nodiscard]] std::size_t size() const { return heap_.size(); }

    /** When the first one is due; none: never. */
    [[nodiscard]] TimePoint next() const {
        return heap_.empty() ? TimePoint::max() : heap_.front().at;
    }

    /** Runs the first one, which may add others, and move and cancel those. */
    void run_next() {
        const Handle handle = heap_.front().slot;
        unlink(handle);
        Slot& slot = slots_[handle]; // stays where it is, whatever is added
        slot.run(slot.room.data());
        slot.drop(slot.room.data());
        free_.push_back(handle);
    }

  private:
    struct Entry {
        TimePoint at;
        std::uint64_t order;
        Handle slot;

        bool operator<(const Entry& other) const {
            return at != other.at ? at < other.at : order < other.order;
        }
    };

    struct alignas(std::max_align_t) Slot {
        std::array<std::byte, kRoom> room;
        void (*run)(void*);
        void (*drop)(void*);
        std::size_t position; ///< in the heap
    };

    Handle free_slot() {
        if (free_.empty()) {
            slots_.emplace_back();
            return static_cast<Handle>(slots_.size() - 1);
        }
        const Handle handle = free_.back();
        free_.pop_back();
        return handle;
    }

    void place(std::size_t position, const Entry& entry) {
        heap_[position] = entry;
        slots_[entry.slot].position = position;
    }

    void rise(std::size_t position) {
        const Entry entry = heap_[position];
        while (position > 0 && entry < heap_[(position - 1) / 2]) {
            place(position, heap_[(position - 1) / 2]);
            position = (position - 1) / 2;
        }
        place(position, entry);
    }

    void settle(std::size_t position) {
        const Entry entry = heap_[position];
        for (std::size_t child; (child = 2 * position + 1) < heap_.size(); position = child) {
            if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) {
                ++child;
            }
            if (!(heap_[child] < entry)) {
                break;
            }
            place(position, heap_[child]);
        }
        place(position, entry);
        rise(position);
    }

    void unlink(Handle handle) {
        const std::size_t position = slots_[handle].position;
        const Entry last = heap_.back();
        heap_.pop_back();
        if (last.slot != handle) {
            place(position, last);
            settle(position);
        }
    }

    std::vector<Entry> heap_;
    std::deque<Slot> slots_;
    std::vector<Handle> free_;
    std::uint64_t order_ = 0;
};

} // namespace weave::sim
