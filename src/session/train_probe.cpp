// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/train_probe.hpp"

#include "wire/packet.hpp"

#include <algorithm>
#include <utility>

namespace weave::session {

const char* text(Trains trains) {
    switch (trains) {
    case Trains::untested:
        break;
    case Trains::whole:
        return "whole";
    case Trains::no_equal_tail:
        return "no_equal_tail";
    case Trains::none:
        return "none";
    }
    return "untested";
}

TrainProbe::TrainProbe(TrainProbeSettings settings, RandomSource random)
    : settings_(settings)
    , random_(std::move(random)) {}

std::uint64_t TrainProbe::fresh_id() {
    std::array<std::uint8_t, 8> bytes{};
    random_(bytes);
    return wire::load_u64(bytes.data());
}

void TrainProbe::set_way(const std::optional<Endpoint>& way, TimePoint now) {
    if (way == way_) {
        return;
    }
    way_ = way;
    verdict_ = Trains::untested;
    testing_ = false;
    trains_.clear();
    next_ = now;
}

bool TrainProbe::on_probe_ack(std::uint64_t id) {
    if (!testing_) {
        return false;
    }
    if (id == alone_id_) {
        alone_arrived_ = true;
        return true;
    }
    for (Shape& shape : shapes_) {
        if (const std::uint64_t place = id - shape.first_id; place < kLength) {
            shape.arrived |= 1U << place;
            return true;
        }
    }
    return false;
}

void TrainProbe::tick(std::uint16_t mtu, TimePoint now) {
    if (!way_ || now < next_) {
        return;
    }
    if (testing_) {
        judge(now);
    } else {
        begin(mtu, now);
    }
}

void TrainProbe::begin(std::uint16_t mtu, TimePoint now) {
    size_ = mtu;
    attempts_ = 0;
    shapes_ = {};
    testing_ = true;
    attempt(now);
}

/** A datagram may get lost on any network: only trains that did not arrive whole so far are sent
 * again, and each of their places needs to arrive once. */
void TrainProbe::attempt(TimePoint now) {
    const std::array<std::uint16_t, kShapes> tails{
        size_, static_cast<std::uint16_t>(size_ / 2), std::uint16_t{0}};
    alone_arrived_ = false;
    alone_id_ = fresh_id();
    trains_.push_back({alone_id_, 1, size_, size_});
    for (std::size_t i = 0; i < kShapes; ++i) {
        if (!shapes_[i].whole()) {
            shapes_[i].first_id = fresh_id();
            trains_.push_back({shapes_[i].first_id, kLength, size_, tails[i]});
        }
    }
    next_ = now + settings_.patience;
}

void TrainProbe::judge(TimePoint now) {
    if (std::ranges::all_of(shapes_, &Shape::whole)) {
        conclude(now);
    } else if (!alone_arrived_) {
        testing_ = false; // it says nothing of trains
        next_ = now + settings_.pause;
    } else if (++attempts_ == settings_.attempts) {
        conclude(now);
    } else {
        attempt(now);
    }
}

void TrainProbe::conclude(TimePoint now) {
    const bool tails = shapes_[kShort].whole() && shapes_[kLeast].whole();
    if (!tails) {
        verdict_ = Trains::none;
    } else {
        verdict_ = shapes_[kEqual].whole() ? Trains::whole : Trains::no_equal_tail;
    }
    testing_ = false;
    next_ = now + settings_.again;
}

std::vector<SendTrain> TrainProbe::take_trains() {
    return std::exchange(trains_, {});
}

} // namespace weave::session
