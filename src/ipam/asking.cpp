// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "ipam/asking.hpp"

#include <algorithm>

namespace weave::ipam {

bool Asking::want(Run within, TimePoint until) {
    if (wants_.size() >= kMaxWants && !wants_.contains(within)) {
        return false;
    }
    wants_[within] = until;
    return true;
}

std::size_t Asking::wants_in(Run within) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        wants_, [&](const auto& want) { return !overlap(want.first, within).empty(); }));
}

void Asking::drop_old(TimePoint now) {
    std::erase_if(wants_, [&](const auto& want) { return want.second <= now; });
    std::erase_if(passed_over_, [&](const auto& passed) {
        return passed.second <= now || !wants_.contains(passed.first.first);
    });
}

void Asking::end_asked(TimePoint now) {
    if (asked_ && asked_->until <= now) {
        if (asked_->within.size() > 1) {
            passed_over_[{asked_->within, asked_->from}] = now + 4 * ask_again_;
        }
        asked_.reset();
    }
}

TimePoint Asking::next_deadline() const {
    TimePoint at = asked_ ? asked_->until : TimePoint::max();
    for (const auto& [within, until] : wants_) {
        at = std::min(at, until);
    }
    for (const auto& [who, until] : passed_over_) {
        at = std::min(at, until);
    }
    return at;
}

} // namespace weave::ipam
