// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/learned_macs.hpp"

namespace weave::daemon {

bool LearnedMacs::on_source(const MacAddress& mac) {
    if (mac == MacAddress{} || mac.is_group() || all_.contains(mac) || ports_.is_elsewhere(mac)) {
        return false;
    }
    if (all_.size() == kMax) {
        ++refused_;
        return false;
    }
    if (!ports_.is_here(mac)) {
        return false; // gone again, or the frame was the host's
    }
    all_.insert(mac);
    return true;
}

bool LearnedMacs::review(TimePoint now) {
    if (now < next_review_) {
        return false;
    }
    next_review_ = now + kReview;
    return std::erase_if(all_, [this](const MacAddress& mac) {
               return ports_.is_elsewhere(mac) || !ports_.is_here(mac);
           }) != 0;
}

} // namespace weave::daemon
