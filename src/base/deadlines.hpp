// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weave {

/**
 * When something is due at each of many keys: what is due is found without a look at the others.
 * As large as the number of keys that have a deadline. `Key` needs an order and a std::hash.
 */
template <class Key> class Deadlines {
  public:
    /** In place of the one that the key has; max(): it has none. */
    void set(const Key& key, TimePoint at) {
        const auto [entry, inserted] = at_.try_emplace(key, at);
        if (inserted && at != TimePoint::max()) {
            queue_.emplace(at, key);
        } else if (at == TimePoint::max()) {
            queue_.erase({entry->second, key});
            at_.erase(entry);
        } else if (entry->second != at) {
            auto place = queue_.extract({std::exchange(entry->second, at), key});
            place.value().first = at;
            queue_.insert(std::move(place));
        }
    }

    /** Of all keys; max(): none has one. */
    [[nodiscard]] TimePoint next() const {
        return queue_.empty() ? TimePoint::max() : queue_.begin()->first;
    }

    /** The keys that are due, earliest first. They have no deadline until they are given one. */
    [[nodiscard]] std::vector<Key> take_due(TimePoint now) {
        std::vector<Key> due;
        while (next() <= now && !queue_.empty()) {
            due.push_back(queue_.begin()->second);
            queue_.erase(queue_.begin());
            at_.erase(due.back());
        }
        return due;
    }

    /** Keys that have a deadline. */
    [[nodiscard]] std::size_t size() const { return queue_.size(); }

  private:
    std::unordered_map<Key, TimePoint> at_;
    std::set<std::pair<TimePoint, Key>> queue_;
};

} // namespace weave
