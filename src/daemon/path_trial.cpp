// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/path_trial.hpp"

#include <algorithm>

namespace weave::daemon {
namespace {

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

} // namespace

PathTrial::PathTrial(TimePoint now, std::uint64_t bytes)
    : slot_began_(now)
    , bytes_(bytes) {}

PathTrial::State PathTrial::step(TimePoint now, std::uint64_t bytes) {
    if (state_ != State::fast && state_ != State::sockets) {
        return state_;
    }
    if (counted_from_ == TimePoint{} && now - slot_began_ >= kLeadIn) {
        counted_from_ = now;
        bytes_ = bytes;
    } else if (counted_from_ != TimePoint{} && now - counted_from_ >= kSlot - kLeadIn) {
        end_slot(now, bytes);
    }
    return state_;
}

void PathTrial::end_slot(TimePoint now, std::uint64_t bytes) {
    const double seconds = std::chrono::duration<double>(now - counted_from_).count();
    const bool fast = state_ == State::fast;
    (fast ? fast_ : sockets_).push_back(static_cast<double>(bytes - bytes_) / seconds);
    state_ = fast ? State::sockets : State::fast;
    slot_began_ = now;
    counted_from_ = {};
    if (sockets_.size() == kSlots && fast_.size() == kSlots) {
        judge();
    }
}

void PathTrial::judge() {
    sockets_rate_ = median(sockets_);
    fast_rate_ = median(fast_);
    if (sockets_rate_ < kWorth) {
        state_ = State::idle;
    } else {
        state_ = fast_rate_ >= kGain * sockets_rate_ ? State::gained : State::no_gain;
    }
}

} // namespace weave::daemon
