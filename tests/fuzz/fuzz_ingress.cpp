// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The way in of one lane, without sockets: datagrams of two peers with fixed keys, sealed around
// what the input says, or raw; under a cipher or in clear. Input: operations, see step().
#include "crypto/init.hpp"
#include "dataplane/ingress.hpp"
#include "frames.hpp"

#include <deque>
#include <memory>

namespace weave::fuzz {
namespace {

using namespace weave::dataplane;

constexpr int kMaxOperations = 32;
constexpr std::size_t kPeers = 2;
constexpr RelayAddress kOwn{9, 9, 9, 9, 9, 9};
constexpr std::array<MacAddress, kPeers> kMacs{{{{2, 0, 0, 0, 0, 0x0a}}, {{2, 0, 0, 0, 0, 0x0b}}}};

Endpoint endpoint_of(std::size_t peer) {
    return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(peer + 1)}), 6783};
}

RelayAddress relay_of(std::size_t peer) {
    return {static_cast<std::uint8_t>(peer + 1), 0, 0, 0, 0, 0};
}

std::uint32_t index_of(std::size_t peer) {
    return static_cast<std::uint32_t>(64 * (peer + 1));
}

crypto::Key32 key_of(std::size_t peer) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(static_cast<std::uint8_t>(peer + 1));
    return crypto::Key32(raw);
}

crypto::Provider provider_of(crypto::Suite suite) {
    return suite == crypto::Suite::clear ? crypto::Provider::none : crypto::Provider::sodium;
}

std::shared_ptr<DataSession> session_of_peer(std::size_t peer, crypto::Suite suite) {
    crypto::TransportKeys keys;
    keys.suite = suite;
    keys.local_index = index_of(peer);
    keys.remote_index = index_of(peer) + 1024;
    keys.send.push_back(key_of(peer + 8));
    keys.receive.push_back(key_of(peer));
    return std::make_shared<DataSession>(
        static_cast<PeerIndex>(peer), std::move(keys), provider_of(suite));
}

Snapshot make_snapshot(crypto::Suite suite) {
    std::vector<PeerEntry> peers;
    std::vector<std::shared_ptr<DataSession>> sessions;
    std::vector<AddressChange> owners;
    for (std::size_t i = 0; i < kPeers; ++i) {
        PeerEntry entry;
        entry.relay = relay_of(i);
        entry.path = {Path::Kind::direct, endpoint_of(i), {}, kNoPeer};
        entry.state = std::make_shared<PeerState>(1);
        entry.session = session_of_peer(i, suite);
        sessions.push_back(entry.session);
        peers.push_back(std::move(entry));
        owners.push_back({kMacs[i], static_cast<PeerIndex>(i)});
        const auto host = static_cast<std::uint8_t>(i + 10);
        owners.push_back({Prefix{IpAddress::v4({10, 32, 0, host}), 32}, static_cast<PeerIndex>(i)});
    }
    Snapshot out;
    out.peers = std::make_shared<PeerTable>(std::move(peers), sessions);
    out.addresses = std::make_shared<AddressTable>(AddressTable{}.with(owners));
    Settings settings;
    settings.own_relay = kOwn;
    settings.router_mac = {{2, 0, 0, 0, 0, 1}};
    settings.bridge_mac = {{2, 0, 0, 0, 0, 2}};
    out.settings = std::make_shared<Settings>(settings);
    return out;
}

/** What a merger writes: only frames whose sender owns them. */
class Sink : public FrameSink {
  public:
    void write(const VnetHeader& vnet,
               std::span<const iovec> parts,
               std::span<const ByteView> frames) override {
        FUZZ_CHECK(!parts.empty() && parts[0].iov_len >= 14);
        const MacAddress from = mac_at(static_cast<const std::uint8_t*>(parts[0].iov_base) + 6);
        FUZZ_CHECK(from == kMacs[0] || from == kMacs[1]);
        FUZZ_CHECK((vnet.gso_type == kGsoNone) == (frames.size() == 1));
        written += frames.size();
    }

    std::size_t written = 0;
};

class World {
  public:
    explicit World(crypto::Suite suite)
        : authentic_(suite != crypto::Suite::clear)
        , snapshot_(make_snapshot(suite)) {
        for (std::size_t i = 0; i < kPeers; ++i) {
            sealing_.emplace_back(suite, provider_of(suite), key_of(i));
        }
        begin();
    }

    void step(Input& input) {
        const std::uint8_t op = input.u8();
        const std::size_t peer = op & 1;
        switch ((op >> 1) % 6) {
        case 0:
            receive(copy(input.part()), peer, input.u16());
            break;
        case 1:
            receive(seal(peer, input.part()), peer, 0);
            break;
        case 2:
            receive(wrap(peer, input, seal(1 - peer, input.part())), peer, 0);
            break;
        case 3:
            receive(wrap(peer, input, copy(input.part())), peer, 0);
            break;
        case 4:
            receive_again(input, peer);
            break;
        default:
            finish();
        }
    }

    void finish() {
        ingress_.finish();
        outbox_.flush();
        buffers_.clear();
        FUZZ_CHECK(!authentic_ || sink_.written <= frames_sealed_);
        std::uint64_t opened = counters_.records_opened.value();
        FUZZ_CHECK(!authentic_ || opened <= sealed_);
        while (const Punt* punt = punter_.ring().front()) {
            FUZZ_CHECK(punt->length <= kMessageBytes);
            punter_.ring().release();
        }
        begin();
    }

  private:
    void begin() {
        const TimePoint now = TimePoint{} + std::chrono::hours(1);
        outbox_.begin(*snapshot_.settings, now);
        ingress_.begin(snapshot_, now);
    }

    Bytes seal(std::size_t peer, ByteView plaintext) {
        count_frames(plaintext);
        Bytes out(plaintext.size() + wire::kDataOverhead);
        wire::put_data_header(out.data(), index_of(peer), 0);
        crypto::SealItem item;
        item.in = plaintext.data();
        item.len = static_cast<std::uint32_t>(plaintext.size());
        item.out = out.data() + wire::kDataHeaderSize;
        item.counter_field = out.data() + wire::kDataCounterOffset;
        item.ad = out.data();
        item.ad_len = wire::kDataHeaderSize;
        FUZZ_CHECK(sealing_[peer].seal_batch({&item, 1}));
        ++sealed_;
        return out;
    }

    Bytes wrap(std::size_t hop, Input& input, const Bytes& inner) {
        const std::uint8_t how = input.u8();
        const RelayAddress to = (how & 1) != 0 ? kOwn : relay_of(how >> 1 & 3);
        const std::size_t size = wire::kRelayHeaderSize + inner.size();
        Bytes out(size + wire::kTagSize);
        wire::put_relay_header(out.data(),
                               index_of(hop),
                               0,
                               static_cast<std::uint8_t>(how >> 4),
                               to,
                               relay_of(1 - hop));
        std::copy(inner.begin(), inner.end(), out.begin() + wire::kRelayHeaderSize);
        crypto::SealItem item;
        item.in = item.out = out.data() + size;
        item.counter_field = out.data() + wire::kDataCounterOffset;
        item.ad = out.data();
        item.ad_len = static_cast<std::uint32_t>(size);
        FUZZ_CHECK(sealing_[hop].seal_batch({&item, 1}));
        return out;
    }

    void receive(Bytes datagram, std::size_t peer, std::uint16_t segment) {
        if (datagram.empty()) {
            return;
        }
        last_ = datagram;
        buffers_.push_back(std::move(datagram));
        os::Datagram one;
        one.from = endpoint_of(peer);
        one.bytes = buffers_.back();
        one.segment_size = segment;
        ingress_.handle(one);
    }

    /** The last datagram, perhaps with one byte changed: nothing authentic of it counts twice. */
    void receive_again(Input& input, std::size_t peer) {
        if (last_.empty()) {
            return;
        }
        Bytes datagram = last_;
        datagram[input.u16() % datagram.size()] ^= input.u8();
        receive(std::move(datagram), peer, 0);
    }

    void count_frames(ByteView plaintext) {
        Bytes bytes = copy(plaintext);
        wire::RecordWalker walker{bytes};
        wire::RecordSpan record;
        while (walker.next(record)) {
            frames_sealed_ += record.kind == 1 ? 1 : 0;
        }
    }

    bool authentic_; ///< else whoever knows the key's half makes records, too
    Snapshot snapshot_;
    LaneCounters counters_;
    Sink sink_;
    Merger merger_{sink_, true};
    Punter punter_{16, nullptr, counters_};
    Outbox outbox_{{}, counters_, punter_};
    Ingress ingress_{{}, merger_, outbox_, punter_, counters_};
    std::vector<crypto::SealingKey> sealing_;
    std::deque<Bytes> buffers_;
    Bytes last_;
    std::size_t sealed_ = 0;
    std::size_t frames_sealed_ = 0;
};

} // namespace

/** The records of one plaintext, merged and cut again. */
void check_merge(ByteView plaintext) {
    Bytes bytes = copy(plaintext);
    MergeOracle oracle;
    Merger merger(oracle, true);
    wire::RecordWalker walker{bytes};
    wire::RecordSpan record;
    while (walker.next(record)) {
        const auto packet = parse_frame(record.body);
        const bool partial = (record.flags & wire::kNeedsChecksum) != 0;
        if (!packet) {
            continue;
        }
        check_packet(record.body, *packet);
        const ByteView taken = partial ? record.body.first(packet->end) : ByteSpan{record.body};
        if (!partial || packet->payload != 0) {
            oracle.expect(taken, *packet, partial);
        }
        FUZZ_CHECK(merger.add(record.body, *packet, partial) == (!partial || packet->payload != 0));
    }
    merger.flush();
    oracle.check();
}

} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    restart_randomness();
    Input input({data, size});
    const std::uint8_t kind = input.u8() % 4;
    if (kind % 2 == 0) {
        check_merge(input.rest());
        return 0;
    }
    auto world = std::make_unique<World>(kind == 1 ? weave::crypto::Suite::chacha20poly1305
                                                   : weave::crypto::Suite::clear);
    for (int i = 0; i < kMaxOperations && !input.empty(); ++i) {
        world->step(input);
    }
    world->finish();
    return 0;
}
