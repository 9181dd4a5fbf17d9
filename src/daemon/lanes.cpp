// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/lanes.hpp"

#include "daemon/log.hpp"
#include "os/error.hpp"
#include "os/time_slice.hpp"

#include <algorithm>
#include <csignal>

#include <pthread.h>
#include <unistd.h>

namespace weave::daemon {

namespace {

/** A packet waits for its lane's turn as long as others' slices last, unless the lane's are
 * shorter: 0.1 ms is the least. */
constexpr std::chrono::microseconds kSlice{100};

} // namespace

Lanes::Lanes(boost::asio::io_context& io, LaneDescriptors descriptors, bool paired)
    : descriptors_(std::move(descriptors))
    , paired_(paired)
    , handoff_(static_cast<unsigned>(descriptors_.tap.queues.size()))
    , control_wait_(io, ::dup(control_.fd())) {
    const auto count = static_cast<unsigned>(descriptors_.tap.queues.size());
    const auto& [tap, udp4, udp6] = descriptors_;
    for (unsigned index = 0; index < count; ++index) {
        dataplane::LaneConfig config;
        config.index = index;
        config.lanes = count;
        config.tap = tap.queues[index].get();
        config.tap_uso = tap.features.uso && os::passes_coalesced_udp(os::kernel_release());
        config.udp4 = udp4.empty() ? nullptr : &udp4[index];
        config.udp6 = udp6.empty() ? nullptr : &udp6[index];
        config.cell = &cell_;
        config.control = &control_;
        config.handoff = count > 1 ? &handoff_ : nullptr;
        config.superframes = &superframes_;
        lanes_.push_back(std::make_unique<dataplane::Lane>(config));
    }
}

Lanes::~Lanes() {
    stop();
}

void Lanes::start(PuntHandler handler) {
    handler_ = std::move(handler);
    wait_for_punts();
    go_on();
}

void Lanes::go_on() {
    // Signals belong to the control thread: lanes start with all of them blocked.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned index = 0; index < lanes_.size(); ++index) {
        threads_.emplace_back([lane = lanes_[index].get()] {
            os::set_time_slice(kSlice);
            lane->run();
        });
        pthread_setname_np(threads_.back().native_handle(), fmt::format("lane{}", index).c_str());
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Lanes::halt() {
    if (threads_.empty()) {
        return;
    }
    for (const auto& lane : lanes_) {
        lane->stop();
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void Lanes::while_halted(const std::function<void()>& work) {
    const bool running = !threads_.empty();
    halt();
    try {
        work();
    } catch (...) {
        if (running) {
            go_on();
        }
        throw;
    }
    if (running) {
        go_on();
    }
}

void Lanes::stop() {
    halt();
    boost::system::error_code ignored;
    control_wait_.close(ignored);
}

void Lanes::wait_for_punts() {
    control_wait_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                             [this](boost::system::error_code error) {
                                 if (error) {
                                     return;
                                 }
                                 drain_punts();
                                 wait_for_punts();
                                 look_at_tap();
                             });
}

void Lanes::drain_punts() {
    // A flood of punts must not keep the control thread from its timers: what is left wakes it
    // again.
    constexpr unsigned kBudget = 512;
    control_.drain();
    bool left = false;
    for (const auto& lane : lanes_) {
        for (unsigned taken = 0; taken < kBudget; ++taken) {
            const dataplane::Punt* punt = lane->punts().front();
            if (punt == nullptr) {
                break;
            }
            handler_(*punt);
            lane->punts().release();
        }
        left = left || lane->punts().front() != nullptr;
    }
    if (left) {
        control_.signal();
    }
}

void Lanes::look_at_tap() {
    const auto gone = [](const auto& lane) { return lane->tap_gone(); };
    if (tap_gone_ || std::none_of(lanes_.begin(), lanes_.end(), gone)) {
        return;
    }
    tap_gone_ = true;
    log::error("event=tap_gone reason=\"the interface was removed\"");
    if (on_tap_gone_) {
        on_tap_gone_();
    }
}

bool Lanes::inject(unsigned lane, const std::function<void(dataplane::Injection&)>& fill) {
    dataplane::Injection* slot = lanes_[lane]->injections().claim();
    if (slot == nullptr) {
        ++injections_lost_;
        return false;
    }
    // Slots are reused; every field starts from its default except the bytes, which `length`
    // guards.
    slot->peer = dataplane::kNoPeer;
    slot->endpoint.reset();
    slot->source.reset();
    slot->via = dataplane::kNoPeer;
    slot->pad_to = 0;
    slot->length = 0;
    fill(*slot);
    lanes_[lane]->injections().publish();
    lanes_[lane]->wake();
    return true;
}

bool Lanes::inject_all(const std::function<void(dataplane::Injection&)>& fill) {
    bool all = true;
    for (unsigned lane = 0; lane < count(); ++lane) {
        all = inject(lane, fill) && all;
    }
    return all;
}

std::uint64_t Lanes::socket_drops() const {
    std::uint64_t sum = 0;
    for (const auto* family : {&descriptors_.udp4, &descriptors_.udp6}) {
        for (const auto& socket : *family) {
            sum += socket.kernel_drops();
        }
    }
    return sum;
}

} // namespace weave::daemon
