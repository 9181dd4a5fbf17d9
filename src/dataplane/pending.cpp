// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pending.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace weave::dataplane {

/** With a block for a queue, should it be the first of its peer. */
bool PendingFrames::has_memory(std::size_t frame) const {
    constexpr std::size_t kOfBlock = std::tuple_size_v<decltype(Block::bytes)>;
    return pool_.left() >= std::max<std::size_t>(1, (frame + kOfBlock - 1) / kOfBlock) + 1;
}

PendingFrames::Block* PendingFrames::store(const VnetHeader& vnet, ByteView frame, TimePoint now) {
    std::pmr::polymorphic_allocator<> memory{&pool_};
    Block* const first = memory.new_object<Block>();
    first->head = {nullptr, frame.size(), now, vnet};
    Block* block = first;
    while (true) {
        const std::size_t part = std::min(frame.size(), block->bytes.size());
        std::copy_n(frame.begin(), part, block->bytes.begin());
        frame = frame.subspan(part);
        if (frame.empty()) {
            return first;
        }
        block->next = memory.new_object<Block>();
        block = block->next;
    }
}

bool PendingFrames::drop_oldest(Queues::iterator place) {
    std::pmr::polymorphic_allocator<> memory{&pool_};
    Queue& queue = place->second;
    Block* block = queue.first;
    const std::size_t size = block->head.size;
    queue.first = block->head.next_frame;
    queue.bytes -= size;
    --queue.frames;
    queue.state->waiting().leave(size);
    while (block != nullptr) {
        memory.delete_object(std::exchange(block, block->next));
    }
    if (queue.first != nullptr) {
        return false;
    }
    queues_.erase(place);
    return true;
}

std::size_t PendingFrames::add(PeerIndex peer,
                               const std::shared_ptr<PeerState>& state,
                               const VnetHeader& vnet,
                               ByteView frame,
                               TimePoint now) {
    std::size_t dropped = 0;
    auto place = queues_.find(peer);
    if (place != queues_.end() && place->second.state != state) { // the slot has another peer now
        dropped += drop_all(peer);
        place = queues_.end();
    }
    const auto fits = [&] {
#ifdef WEAVE_BREAK_PENDING_LIMIT // the simulator proves that it notices this missing
        return has_memory(frame.size());
#else
        return has_memory(frame.size()) && state->waiting().enter(frame.size());
#endif
    };
    while (!fits()) {
        ++dropped;
        if (place == queues_.end()) {
            return dropped;
        }
        if (drop_oldest(place)) {
            place = queues_.end();
        }
    }
    if (place == queues_.end()) {
        place = queues_.try_emplace(peer).first;
        place->second.state = state;
    }
    Queue& queue = place->second;
    Block* const stored = store(vnet, frame, now);
    (queue.first == nullptr ? queue.first : queue.last->head.next_frame) = stored;
    queue.last = stored;
    queue.bytes += frame.size();
    ++queue.frames;
    return dropped;
}

std::size_t PendingFrames::drop_stale(PeerIndex peer, TimePoint now) {
    const auto place = queues_.find(peer);
    std::size_t dropped = 0;
    bool gone = place == queues_.end();
    while (!gone && now - place->second.first->head.since > kMaxAge) {
        gone = drop_oldest(place);
        ++dropped;
    }
    return dropped;
}

std::size_t PendingFrames::drop_all(PeerIndex peer) {
    const auto place = queues_.find(peer);
    const std::size_t dropped = count(peer);
    bool gone = place == queues_.end();
    while (!gone) {
        gone = drop_oldest(place);
    }
    return dropped;
}

std::size_t PendingFrames::count(PeerIndex peer) const {
    const auto place = queues_.find(peer);
    return place == queues_.end() ? 0 : place->second.frames;
}

std::optional<PendingFrames::Frame> PendingFrames::take(PeerIndex peer, ByteSpan into) {
    const auto place = queues_.find(peer);
    if (place == queues_.end()) {
        return std::nullopt;
    }
    const Block* block = place->second.first;
    const Frame out{block->head.vnet, into.first(block->head.size)};
    ByteSpan rest = out.bytes;
    for (; block != nullptr; block = block->next) {
        const std::size_t part = std::min(rest.size(), block->bytes.size());
        std::copy_n(block->bytes.begin(), part, rest.begin());
        rest = rest.subspan(part);
    }
    drop_oldest(place);
    return out;
}

PendingFrames::Sizes PendingFrames::sizes() const {
    Sizes out;
    for (const auto& [peer, queue] : queues_) {
        out.frames = std::max(out.frames, queue.frames);
        out.bytes = std::max(out.bytes, queue.bytes);
        out.total += queue.bytes;
    }
    return out;
}

} // namespace weave::dataplane
