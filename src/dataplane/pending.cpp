// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pending.hpp"

#include <algorithm>
#include <new>

namespace weave::dataplane {

void PendingFrames::drop_oldest(Queue& queue) {
    const std::size_t size = queue.frames.front().bytes.size();
    queue.frames.pop_front();
    queue.state->waiting().leave(size);
    total_ -= size;
}

PendingFrames::Added PendingFrames::add(PeerIndex peer,
                                        const std::shared_ptr<PeerState>& state,
                                        const VnetHeader& vnet,
                                        ByteView frame,
                                        TimePoint now) {
    constexpr Duration kAskAgain = std::chrono::seconds{1};
    Added out;
    Queue* made = nullptr;
    try {
        made = &queues_[peer];
    } catch (const std::bad_alloc&) {
        ++out.dropped;
        return out;
    }
    Queue& queue = *made;
    if (queue.state != state) { // the slot has another peer now
        while (!queue.frames.empty()) {
            drop_oldest(queue);
            ++out.dropped;
        }
        queue.state = state;
    }
    if (queue.asked == TimePoint{} || now - queue.asked >= kAskAgain) {
        queue.asked = now;
        out.ask = true;
    }
#ifndef WEAVE_BREAK_PENDING_LIMIT // the simulator proves that it notices this missing
    while (total_ + frame.size() > kMaxTotalBytes || !state->waiting().enter(frame.size())) {
        ++out.dropped;
        if (queue.frames.empty()) {
            return out;
        }
        drop_oldest(queue);
    }
#endif
    try {
        queue.frames.push_back({vnet, Bytes(frame.begin(), frame.end()), now});
    } catch (const std::bad_alloc&) {
        state->waiting().leave(frame.size());
        ++out.dropped;
        return out;
    }
    total_ += frame.size();
    return out;
}

std::size_t PendingFrames::drop_stale(PeerIndex peer, TimePoint now) {
    const auto found = queues_.find(peer);
    std::size_t dropped = 0;
    while (found != queues_.end() && !found->second.frames.empty() &&
           now - found->second.frames.front().since > kMaxAge) {
        drop_oldest(found->second);
        ++dropped;
    }
    return dropped;
}

std::deque<PendingFrames::Frame> PendingFrames::take(PeerIndex peer) {
    const auto found = queues_.find(peer);
    if (found == queues_.end()) {
        return {};
    }
    std::deque<Frame> frames = std::move(found->second.frames);
    for (const Frame& frame : frames) {
        found->second.state->waiting().leave(frame.bytes.size());
        total_ -= frame.bytes.size();
    }
    queues_.erase(found);
    return frames;
}

PendingFrames::Sizes PendingFrames::sizes() const {
    Sizes out;
    for (const auto& [peer, queue] : queues_) {
        std::size_t bytes = 0;
        for (const Frame& frame : queue.frames) {
            bytes += frame.bytes.size();
        }
        out.frames = std::max(out.frames, queue.frames.size());
        out.bytes = std::max(out.bytes, bytes);
    }
    out.total = total_;
    return out;
}

} // namespace weave::dataplane
