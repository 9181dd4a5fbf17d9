// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The router's part in a takeover, on both sides of it.
#include "crypto/identity.hpp"
#include "daemon/fast_path.hpp"
#include "daemon/router.hpp"
#include "os/notify.hpp"

#include <unistd.h>

namespace weave::daemon {

void Router::open_takeover_door() {
    TakeoverCalls calls;
    calls.refuse = [this](const HandoverFit& fit) {
        return fit.difference(handover_fit(options_, cluster_, lanes_->pair_count()));
    };
    calls.describe = [this] {
        if (fast_path_) {
            // What comes while no lane runs is to wait in the sockets that are handed over. Should
            // this process go on after all, so does the fast path at the next tick.
            fast_path_->release();
        }
        return describe();
    };
    calls.descriptors = [this] { return descriptors(); };
    calls.hand_over = [this] {
        lanes_->halt();
        return peers_->hand_over();
    };
    calls.go_on = [this] {
        log::error("event=takeover_undone detail=\"this process goes on, with new keys\"");
        lanes_->go_on();
        peers_->renew(Clock::now());
        publish_snapshot();
    };
    calls.leave = [this](pid_t successor) {
        log::info("event=handed_over name={}", name_);
        // Before this process ends: a service whose main process is gone is stopped.
        os::notify_manager(fmt::format("MAINPID={}", successor));
        // No goodbye to peers, no socket file removed: all of it is the successor's now.
        ::_exit(0);
    };
    takeover_door_ =
        std::make_unique<TakeoverDoor>(io_, takeover_path(options_.run_dir), std::move(calls));
}

Handover Router::describe() {
    Handover out;
    out.started = started_;
    out.boot_epoch = mesh_->mesh().epoch();
    out.mesh_version = mesh_->mesh().version();
    out.lanes = shape_of(lanes_->descriptors());
    for (const mesh::Store::Bucket& bucket : mesh_->mesh().store().buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            out.records.push_back(record->raw);
        }
    }
    const std::set<MacAddress>& learned = local_->learned().all();
    out.learned.assign(learned.begin(), learned.end());
    peers_->describe(out);
    return out;
}

std::vector<int> Router::descriptors() {
    std::vector<int> out = raw_descriptors(lanes_->descriptors());
    out.insert(out.begin(), state_.lock_fd());
    return out;
}

/** What the predecessor knew. It forwards meanwhile. */
void Router::take_over() {
    const TimePoint now = Clock::now();
    Handover& handover = predecessor_->handover();
    started_ = handover.started;
    const std::uint64_t version = handover.mesh_version;
    std::vector<wire::RecordPtr> records;
    for (const Bytes& raw : handover.records) {
        if (auto record = wire::decode_record(raw, crypto::node_id)) {
            records.push_back(std::make_shared<wire::Record>(std::move(*record)));
        }
    }
    const std::vector<MacAddress> learned = std::move(handover.learned);
    peers_->take_over(std::move(handover), now);
    mesh_->take_over(version, records, now);
    for (const MacAddress& mac : learned) {
        local_->on_source(mac);
    }
}

/** Everything is ready. Nothing is forwarded from the first line to the last. */
void Router::relieve_predecessor() {
    peers_->take_over(predecessor_->stop());
    publish_snapshot();
    predecessor_->dismiss();
}

} // namespace weave::daemon
