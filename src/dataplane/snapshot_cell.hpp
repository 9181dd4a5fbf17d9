// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/snapshot.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace weave::dataplane {

/**
 * Publishes snapshots to lanes without a lock. One control thread publishes; each lane brackets a
 * batch with enter() and leave(). A replaced snapshot is freed, by the control thread, once every
 * lane has left the batch it may have been read in; a lane that sleeps between batches holds
 * nothing back.
 */
class SnapshotCell {
  public:
    SnapshotCell()
        : current_(new Snapshot) {}

    ~SnapshotCell() { delete current_.load(); }

    SnapshotCell(const SnapshotCell&) = delete;
    SnapshotCell& operator=(const SnapshotCell&) = delete;

    /** Control thread: replaces the snapshot and frees those no lane reads any more. */
    void publish(Snapshot next) {
        const Snapshot* old = current_.exchange(new Snapshot(std::move(next)));
        const std::uint64_t epoch = epoch_.fetch_add(1) + 1;
        retired_.push_back({std::unique_ptr<const Snapshot>(old), epoch});
        reclaim();
    }

    /** Control thread: what was published last. */
    [[nodiscard]] const Snapshot& current() const { return *current_.load(); }

    /** Control thread: frees what it can; returns how many old snapshots are still held. */
    std::size_t reclaim() {
        std::uint64_t oldest = kIdle;
        for (const Slot& slot : slots_) {
            oldest = std::min(oldest, slot.epoch.load());
        }
        std::erase_if(retired_, [&](const Retired& entry) { return entry.epoch <= oldest; });
        return retired_.size();
    }

    /** Lane: the snapshot for one batch, valid until leave(). */
    const Snapshot& enter(unsigned lane) {
        slots_[lane].epoch.store(epoch_.load());
        return *current_.load();
    }

    void leave(unsigned lane) { slots_[lane].epoch.store(kIdle, std::memory_order_release); }

  private:
    static constexpr std::uint64_t kIdle = ~std::uint64_t{0};

    struct alignas(64) Slot {
        std::atomic<std::uint64_t> epoch{kIdle};
    };

    struct Retired {
        std::unique_ptr<const Snapshot> snapshot;
        std::uint64_t epoch;
    };

    std::atomic<const Snapshot*> current_;
    std::atomic<std::uint64_t> epoch_{1};
    std::array<Slot, kMaxLanes> slots_;
    std::vector<Retired> retired_;
};

} // namespace weave::dataplane
