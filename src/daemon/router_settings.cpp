// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What lanes are told that seldom changes.
#include "daemon/router.hpp"

namespace weave::daemon {

dataplane::Settings Router::data_settings() {
    dataplane::Settings out;
    out.own_relay = relay_address(state_.identity().id());
    out.router_mac = attach::kRouterMac;
    out.bridge_mac = attach::bridge_mac(state_.identity().id());
    out.finish_checksums = options_.finish_checksums || host_.read_raw();
    out.join_frames = !options_.no_superframes;
    out.marks = {!options_.no_dscp, !options_.no_ecn};
    return out;
}

/** A program that was attached to, or taken from, a pod's interface may read checksums. */
void Router::fit_checksums() {
    const dataplane::Settings now = data_settings();
    if (now.finish_checksums == snapshot_.settings->finish_checksums) {
        return;
    }
    log::info("event=checksums finished={}", now.finish_checksums);
    snapshot_.settings = std::make_shared<dataplane::Settings>(now);
    lanes_->cell().publish(snapshot_);
}

/** Of programs that a BPF link attaches nobody is told: they have to be asked for. Nor of those
 * that go with their link: while there are some it is looked at again from time to time. */
void Router::notice_programs(TimePoint now) {
    constexpr auto kAskAgain = std::chrono::seconds(1);
    constexpr auto kLookAgain = std::chrono::seconds(10);
    if (now < next_notice_) {
        return;
    }
    next_notice_ = now + kAskAgain;
    const bool there = !options_.finish_checksums && snapshot_.settings->finish_checksums;
    programs_due_ =
        programs_due_ || bpf_links_.made_new() || (there && now - programs_seen_ >= kLookAgain);
    if (!programs_due_) {
        return;
    }
    host_.look_anew();
    try {
        fit_checksums();
        programs_due_ = false;
        programs_seen_ = now;
    } catch (const std::system_error& error) {
        if (rate_.allow("notice_programs", now)) {
            log::error("event=interfaces_not_read reason={}", log::quoted(error.what()));
        }
    }
}

} // namespace weave::daemon
