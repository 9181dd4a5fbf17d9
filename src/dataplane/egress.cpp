// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/egress.hpp"

#include "crypto/init.hpp"
#include "dataplane/checksum.hpp"
#include "dataplane/forwarding.hpp"
#include "dataplane/neighbour.hpp"

#include <algorithm>
#include <array>

namespace weave::dataplane {
namespace {

constexpr std::size_t kDrainFrames = 64;
constexpr std::size_t kDrainBytes = 512 * 1024;

} // namespace

Egress::Egress(unsigned lane, TapPort& tap, Outbox& outbox, Punter& punter, LaneCounters& counters)
    : lane_(lane)
    , tap_(tap)
    , outbox_(outbox)
    , punter_(punter)
    , counters_(counters)
    , buffer_(TapPort::kBufferSize)
    , copy_(TapPort::kBufferSize) {
    // Lanes share the pods' addresses, and a start follows another: each begins somewhere else.
    std::array<std::uint8_t, sizeof fragment_id_> random{};
    crypto::random_bytes(random);
    fragment_id_ = wire::load_u32(random.data());
}

bool Egress::drain() {
    std::size_t bytes = 0;
    std::size_t frames = 0;
    bool more = true;
    while (frames < kDrainFrames && bytes < kDrainBytes) {
        if (outbox_.congested()) {
            break; // what waits is the kernel's to keep, or to drop
        }
        const TapPort::Read read = tap_.read(buffer_);
        more = !read.frame.empty();
        if (!more) {
            break;
        }
        bytes += read.frame.size();
        handle(read.vnet, read.frame);
        // After one that came alone another such is likely: it leaves before the TAP is asked
        // again.
        if (++frames == 1 && came_alone_) {
            outbox_.flush();
        }
    }
    came_alone_ = frames <= 1;
    outbox_.flush();
    return more;
}

std::optional<Egress::Outgoing> Egress::judge(const VnetHeader& vnet, ByteSpan frame) {
    Outgoing out{vnet, frame, {}, Offload::none};
    const auto packet = parse_frame(frame, vnet.gso_type != kGsoNone);
    if (packet) {
        out.packet = *packet;
        out.offload = check_offload(vnet, *packet, frame);
    }
    if (!packet || out.offload == Offload::invalid || bears_mapped_address(frame, *packet)) {
        counters_.drop(Drop::malformed_frame);
        return std::nullopt;
    }
    const bool finish = out.offload == Offload::other ||
                        (out.offload == Offload::partial && reader_checks_sums(frame, *packet));
    if (finish) {
        // Behind a packet that is known there may be padding, which no sum covers.
        const bool known = out.offload == Offload::partial;
        finish_checksum(
            known ? frame.first(packet->end) : frame, vnet.csum_start, vnet.csum_offset);
        out.vnet = {};
        out.offload = Offload::none;
    }
    const MacAddress from = mac_at(frame.data() + 6);
    const PeerIndex source = snapshot_->addresses->owner(from);
    if (source == kNoPeer) {
        tell_of_source(from);
    } else if (source != kLocalPeer) {
        counters_.drop(Drop::source_not_attached);
        return std::nullopt;
    }
    return out;
}

/** The frame itself goes on: nobody believes it before this node owns its source. */
void Egress::tell_of_source(const MacAddress& source) {
    if (new_sources_.allow(source, now_)) {
        punter_.punt(Punt::Kind::new_source, source.octets, [](Punt&) {});
    }
}

PeerIndex Egress::owner_of(const Outgoing& out) const {
    const MacAddress to = mac_at(out.frame.data());
    if (to != MacAddress{} && to == snapshot_->settings->router_mac) {
        const auto address =
            out.packet.version != 0 ? destination_ip(out.frame, out.packet) : std::nullopt;
        return address ? snapshot_->addresses->owner(*address) : kNoPeer;
    }
    return snapshot_->addresses->owner(to);
}

/**
 * True when the frame asks all for the MAC of an address that is known: it does not travel. Of
 * another node's address the answer goes back at once, in the owner's name and from its MAC, so
 * that the bridge learns that MAC behind the TAP; of an address here the bridge has asked already.
 * What the mesh would not believe of this node is not believed here: it travels, and is counted
 * there.
 */
bool Egress::keep_question(const Outgoing& out) {
    const auto question = read_neighbour_question(out.frame, out.packet);
    if (!question || !sources_.belong_to(kLocalPeer, out.frame, out.packet)) {
        return false;
    }
    const Neighbour known = snapshot_->addresses->neighbour(question->target);
    if (known.owner == kLocalPeer) {
        counters_.neighbours_here.add();
        return true;
    }
    // A MAC that another node has is not for the owner of the address to give away.
    const bool routed = known.mac == snapshot_->settings->router_mac;
    if (known.owner == kNoPeer || known.mac == MacAddress{} ||
        (!routed && snapshot_->addresses->owner(known.mac) != known.owner)) {
        return false;
    }
    const NeighbourFrame answer = NeighbourFrame::answer(*question, known.mac);
    const ByteView frame = answer.view();
    const iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
    tap_.write(VnetHeader{}, {&whole, 1}, {&frame, 1});
    counters_.neighbours_answered.add();
    return true;
}

void Egress::handle(const VnetHeader& vnet, ByteSpan frame) {
    const auto out = judge(vnet, frame);
    if (!out) {
        return;
    }
    const MacAddress mac = mac_at(frame.data());
    const bool group = mac.is_group();
    if (group && keep_question(*out)) {
        return;
    }
    const bool routed = mac == snapshot_->settings->router_mac;
    const Destination to{group, routed, group ? kNoPeer : owner_of(*out)};
    std::span<const PeerIndex> peers;
    if (const auto reason = recipients(to, snapshot_->peers->broadcast(), peers)) {
        counters_.drop(*reason);
        return;
    }
    send_to_each(peers, *out);
}

void Egress::send_to_each(std::span<const PeerIndex> peers, const Outgoing& out) {
    // Cutting, finishing and fragmenting work in place: each peer but the last gets a copy.
    for (std::size_t i = 0; i < peers.size(); ++i) {
        if (i + 1 == peers.size()) {
            send_to(peers[i], out);
            continue;
        }
        Outgoing twin = out;
        twin.frame = ByteSpan{copy_}.subspan(TapPort::kHeadroom, out.frame.size());
        std::copy(out.frame.begin(), out.frame.end(), twin.frame.begin());
        send_to(peers[i], twin);
    }
}

void Egress::send_to(PeerIndex peer, const Outgoing& out) {
    Route route;
    if (const auto reason = find_route(*snapshot_->peers, peer, route)) {
        if (*reason == Drop::no_session) {
            wait_for_session(peer, out);
        } else {
            counters_.drop(*reason);
        }
        return;
    }
    MarksKept keep = snapshot_->settings->marks;
    keep.ecn = keep.ecn && route.takes(wire::kCongestionMarks);
    route.marks = outer_marks(marks_of(out.frame, out.packet), keep);
    if (out.offload == Offload::tcp_super || out.offload == Offload::udp_super) {
        send_super(route, out);
    } else if (out.frame.size() + wire::kRecordHeaderSize <= route.room) {
        if (out.offload == Offload::partial) {
            send_partial(route, out.frame, out.packet);
        } else {
            outbox_.send_frame(route, out.frame, 0);
        }
    } else {
        send_large(route, out);
    }
}

/** A frame whose transport checksum field holds the pseudo-header sum. */
void Egress::send_partial(const Route& route, ByteSpan frame, const Packet& packet) {
    if (route.session->peer_takes(wire::kPartialChecksums)) {
        outbox_.send_frame(route, frame, wire::kNeedsChecksum);
        return;
    }
    // What follows the packet is padding, which no sum covers; a piece has none and its own end.
    finish_checksum(
        frame.first(std::min(packet.end, frame.size())), packet.l4, packet.checksum_offset());
    outbox_.send_frame(route, frame, 0);
}

void Egress::send_super(const Route& route, const Outgoing& out) {
    const std::size_t overhead = wire::kRecordHeaderSize + out.packet.payload;
    const std::size_t fits = route.room > overhead ? route.room - overhead : 0;
    const bool tcp = out.offload == Offload::tcp_super;
    // A TCP piece may be made smaller; a UDP piece is a datagram and keeps its size.
    const std::size_t piece =
        tcp ? std::min<std::size_t>(out.vnet.gso_size, fits) : out.vnet.gso_size;
    auto segmenter = Segmenter::create(out.frame, out.packet, piece);
    if (segmenter && piece <= fits) {
        send_pieces(route, *segmenter);
    } else if (segmenter && !tcp) {
        send_datagrams(route, *segmenter);
    } else {
        refuse_too_big(route, out);
    }
}

/** Each is what it would be if its sender had not handed over many at once. */
void Egress::send_datagrams(const Route& route, Segmenter& segmenter) {
    for (ByteSpan frame = segmenter.next(); !frame.empty(); frame = segmenter.next()) {
        Outgoing one{{}, frame, segmenter.packet(), Offload::partial};
        one.vnet.csum_start = one.packet.l4;
        one.vnet.csum_offset = one.packet.checksum_offset();
        one.packet.end = frame.size();
        if (frame.size() + wire::kRecordHeaderSize <= route.room) {
            send_partial(route, frame, one.packet);
        } else {
            send_large(route, one);
        }
    }
}

void Egress::send_pieces(const Route& route, Segmenter& segmenter) {
    if (route.session->peer_takes(wire::kPartialChecksums)) {
        outbox_.send_frames(route, segmenter, wire::kNeedsChecksum);
        return;
    }
    for (ByteSpan frame = segmenter.next(); !frame.empty(); frame = segmenter.next()) {
        send_partial(route, frame, segmenter.packet());
    }
}

/**
 * TCP whose sender cannot be told what fits: over IPv6 where that is less than IPv6's least MTU,
 * which it would not believe, and while the size of the path is being searched.
 */
bool Egress::send_cut(const Route& route, const Outgoing& out) {
    const std::size_t overhead = wire::kRecordHeaderSize + out.packet.payload;
    const bool narrow = out.packet.version == 6 &&
                        route.room < wire::kRecordHeaderSize + out.packet.l3 + kLeastMtu6;
    const bool untold = narrow || !route.settled;
    if (!out.packet.is_tcp() || !untold || route.room <= overhead) {
        return false;
    }
    auto segmenter =
        Segmenter::create(out.frame.first(out.packet.end), out.packet, route.room - overhead);
    if (segmenter) {
        send_pieces(route, *segmenter);
    }
    return segmenter.has_value();
}

void Egress::send_large(const Route& route, const Outgoing& out) {
    if (send_cut(route, out)) {
        return;
    }
    const std::size_t overhead = wire::kRecordHeaderSize + out.packet.l3;
    const std::size_t mtu = route.room > overhead ? route.room - overhead : 0;
    auto fragmenter = Fragmenter::create(out.frame, out.packet, mtu, fragment_id_);
    if (fragmenter) {
        ++fragment_id_;
        send_fragments(route, out, *fragmenter);
    } else {
        refuse_too_big(route, out);
    }
}

void Egress::send_fragments(const Route& route, const Outgoing& out, Fragmenter& fragmenter) {
    if (out.offload == Offload::partial) {
        finish_checksum(out.frame.first(out.packet.end), out.vnet.csum_start, out.vnet.csum_offset);
    }
    for (ByteSpan frame = fragmenter.next(); !frame.empty(); frame = fragmenter.next()) {
        outbox_.send_frame(route, frame, 0);
    }
}

/** A sender keeps for ten minutes what it is told: it is told nothing that was not measured. */
void Egress::refuse_too_big(const Route& route, const Outgoing& out) {
    constexpr std::size_t kQuoted = 256;
    if (!route.settled) {
        counters_.drop(Drop::size_unmeasured);
        return;
    }
    counters_.drop(Drop::too_big);
    if (!too_big_.allow(mac_at(out.frame.data() + 6), now_)) {
        return;
    }
    const std::size_t overhead = wire::kRecordHeaderSize + out.packet.l3;
    const std::size_t fits = route.room > overhead ? route.room - overhead : 0;
    const ByteView start = ByteView{out.frame}.first(std::min(out.frame.size(), kQuoted));
    punter_.punt(Punt::Kind::too_big, start, [&](Punt& punt) {
        punt.peer = route.index;
        punt.mtu =
            static_cast<std::uint16_t>(out.packet.version == 6 ? std::max(fits, kLeastMtu6) : fits);
        punt.is_tx = true;
    });
}

void Egress::wait_for_session(PeerIndex peer, const Outgoing& out) {
    counters_.drop(Drop::waited_too_long, pending_.drop_stale(peer, now_));
    const std::shared_ptr<PeerState>& state = snapshot_->peers->peer(peer)->state;
    counters_.drop(Drop::queue_full, pending_.add(peer, state, out.vnet, out.frame, now_));
    ask_for_session(peer, *state);
}

void Egress::ask_for_session(PeerIndex peer, PeerState& state) {
    if (state.ask(lane_, now_)) {
        punter_.punt(Punt::Kind::need_session, {}, [&](Punt& punt) { punt.peer = peer; });
    }
}

/** The next frame that has to wait asks at once, as what was asked for is over. */
void Egress::ask_at_once(PeerIndex peer) {
    if (const PeerEntry* entry = snapshot_->peers->peer(peer)) {
        entry->state->lane(lane_).asked = {};
    }
}

void Egress::flush_pending(PeerIndex peer) {
    counters_.drop(Drop::waited_too_long, pending_.drop_stale(peer, now_));
    ask_at_once(peer);
    // Each once: one may have to wait again.
    for (std::size_t left = pending_.count(peer); left > 0; --left) {
        const auto frame = pending_.take(peer, ByteSpan{buffer_}.subspan(TapPort::kHeadroom));
        const auto out = frame ? judge(frame->vnet, frame->bytes) : std::nullopt;
        if (out) {
            send_to(peer, *out);
        }
    }
}

/** Of a flow that has ended: its frames would keep those of other lanes out. */
void Egress::drop_stale(PeerIndex peer) {
    counters_.drop(Drop::waited_too_long, pending_.drop_stale(peer, now_));
}

void Egress::drop_pending(PeerIndex peer) {
    counters_.drop(Drop::no_session, pending_.drop_all(peer));
    ask_at_once(peer);
}

} // namespace weave::dataplane
