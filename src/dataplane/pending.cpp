// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pending.hpp"

#include <algorithm>
#include <new>

namespace weave::dataplane {

void PendingFrames::drop_oldest(Queue& queue) {
    const std::size_t size = queue.frames.front().bytes.size();
    queue.frames.pop_front();
    queue.bytes -= size;
    total_ -= size;
}

PendingFrames::Added
PendingFrames::add(PeerIndex peer, const VnetHeader& vnet, ByteView frame, TimePoint now) {
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
    if (queue.asked == TimePoint{} || now - queue.asked >= kAskAgain) {
        queue.asked = now;
        out.ask = true;
    }
#ifndef WEAVE_BREAK_PENDING_LIMIT // the simulator proves that it notices this missing
    while (!queue.frames.empty() &&
           (queue.frames.size() == kMaxFrames || queue.bytes + frame.size() > kMaxBytes ||
            total_ + frame.size() > kMaxTotalBytes)) {
        drop_oldest(queue);
        ++out.dropped;
    }
#endif
    if (total_ + frame.size() > kMaxTotalBytes) {
        ++out.dropped;
        return out;
    }
    try {
        queue.frames.push_back({vnet, Bytes(frame.begin(), frame.end()), now});
    } catch (const std::bad_alloc&) {
        ++out.dropped;
        return out;
    }
    queue.bytes += frame.size();
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
    total_ -= found->second.bytes;
    queues_.erase(found);
    return frames;
}

PendingFrames::Sizes PendingFrames::sizes() const {
    Sizes out;
    for (const auto& [peer, queue] : queues_) {
        out.frames = std::max(out.frames, queue.frames.size());
        out.bytes = std::max(out.bytes, queue.bytes);
    }
    out.total = total_;
    return out;
}

} // namespace weave::dataplane
