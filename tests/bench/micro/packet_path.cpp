// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What a lane does with a superframe, between the kernel's calls: without a socket, a train is
// counted as lost; sessions are in clear, so that no cipher is measured.
#include "crypto/init.hpp"
#include "dataplane/egress.hpp"
#include "dataplane/ingress.hpp"
#include "os/fd.hpp"
#include "tcp_frame.hpp"

#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

namespace weave::dataplane {
namespace {

constexpr std::size_t kPieces = 45;
constexpr std::size_t kPiece = 1324;
constexpr std::size_t kDatagram =
    kTcpFrameHeader + kPiece + wire::kRecordHeaderSize + wire::kDataOverhead;
constexpr std::uint32_t kIndex = 64;
constexpr MacAddress kNear{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kFar{{2, 0, 0, 0, 0, 2}};
const TimePoint kNow = TimePoint{} + std::chrono::hours{1};

crypto::Key32 some_key() {
    crypto::Key32 key;
    key.span()[0] = 7;
    return key;
}

Snapshot one_peer() {
    crypto::TransportKeys keys;
    keys.suite = crypto::Suite::clear;
    keys.local_index = keys.remote_index = kIndex;
    keys.send.push_back(some_key());
    keys.receive.push_back(some_key());
    PeerEntry entry;
    entry.path.kind = Path::Kind::direct;
    entry.path.endpoint = {IpAddress::v4({192, 0, 2, 2}), 6783};
    entry.mtu = 1500;
    entry.state = std::make_shared<PeerState>(1);
    entry.session = std::make_shared<DataSession>(0, std::move(keys), crypto::Provider::none);
    entry.session->set_features(wire::kOwnFeatures);
    const std::vector<std::shared_ptr<DataSession>> sessions{entry.session};
    const AddressChange owners[] = {
        {kNear, kLocalPeer},
        {kFar, 0},
        {Prefix{IpAddress::v4({10, 0, 0, 1}), 32}, kLocalPeer, kNear},
        {Prefix{IpAddress::v4({10, 0, 0, 2}), 32}, 0, kFar},
    };
    Snapshot out;
    out.peers = std::make_shared<PeerTable>(std::vector{std::move(entry)}, sessions);
    out.addresses = std::make_shared<AddressTable>(AddressTable{}.with(owners));
    Settings settings;
    settings.router_mac = {{2, 0, 0, 0, 0, 3}};
    out.settings = std::make_shared<Settings>(settings);
    return out;
}

class Nowhere final : public FrameSink {
  public:
    void
    write(const VnetHeader&, std::span<const iovec>, std::span<const ByteView> frames) override {
        written += frames.size();
    }

    std::size_t written = 0;
};

/** One lane's parts; its TAP is a file of one message. */
struct Parts {
    Parts()
        : file(::memfd_create("tap", MFD_CLOEXEC)) {
        crypto::init();
    }

    Snapshot snapshot = one_peer();
    os::UniqueFd file;
    LaneCounters counters;
    Punter punter{16, nullptr, counters};
    Outbox outbox{{}, counters, punter};
    TapPort tap{file.get(), counters, nullptr};
    Egress egress{0, tap, outbox, punter, counters};
    Nowhere sink;
    Merger merger{sink, true};
    Ingress ingress{{}, merger, outbox, punter, counters};
};

/** From the TAP to a train, which nothing sends. */
void send_superframe(benchmark::State& state) {
    const auto lane = std::make_unique<Parts>();
    const VnetHeader vnet{
        kVnetNeedsChecksum, kGsoTcp4, kTcpFrameHeader, kPiece, 14 + 20, 16}; // what TCP asks for
    const Bytes frame = tcp_frame(kNear, kFar, kPieces * kPiece);
    const bool written = ::write(lane->file.get(), &vnet, sizeof vnet) == ssize_t{sizeof vnet} &&
                         ::write(lane->file.get(), frame.data(), frame.size()) == std::ssize(frame);
    for (auto _ : state) {
        ::lseek(lane->file.get(), 0, SEEK_SET);
        lane->outbox.begin(*lane->snapshot.settings, kNow);
        lane->egress.begin(lane->snapshot, kNow);
        lane->egress.drain();
    }
    const std::uint64_t sealed = lane->counters.records_sealed.value();
    if (!written || sealed != static_cast<std::uint64_t>(state.iterations()) * kPieces) {
        state.SkipWithError("some pieces were not sealed");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
}

/** A train as the peer sends it, but for the counters. */
Bytes clear_train() {
    Bytes train(kPieces * kDatagram);
    for (std::size_t i = 0; i < kPieces; ++i) {
        Bytes frame = tcp_frame(kFar, kNear, kPiece);
        store_be32(frame.data() + 14 + 20 + 4, static_cast<std::uint32_t>(i * kPiece));
        std::uint8_t* datagram = train.data() + i * kDatagram;
        std::uint8_t* record = datagram + wire::kDataHeaderSize;
        wire::put_data_header(datagram, kIndex, 0);
        wire::put_record_header(record,
                                wire::RecordKind::frame,
                                wire::kNeedsChecksum,
                                static_cast<std::uint16_t>(frame.size()));
        std::copy(frame.begin(), frame.end(), record + wire::kRecordHeaderSize);
        const crypto::Key32 key = some_key(); // the first half of which is each record's tag
        std::copy_n(key.view().begin(), wire::kTagSize, datagram + kDatagram - wire::kTagSize);
    }
    return train;
}

/** From a train in memory to the superframe, which nobody gets. */
void receive_train(benchmark::State& state) {
    const auto lane = std::make_unique<Parts>();
    Bytes train = clear_train();
    os::Datagram datagram;
    datagram.from = lane->snapshot.peers->peer(0)->path.endpoint;
    datagram.bytes = train;
    datagram.segment_size = kDatagram;
    std::uint64_t counter = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < kPieces; ++i) {
            wire::store_u64(train.data() + i * kDatagram + wire::kDataCounterOffset, counter++);
        }
        lane->ingress.begin(lane->snapshot, kNow);
        lane->ingress.handle(datagram);
        lane->ingress.finish();
    }
    if (lane->sink.written != counter) {
        state.SkipWithError("some frames did not arrive");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
}

/** Fixed, so that `valgrind --tool=callgrind` counts instructions of a known number of pieces. */
constexpr std::int64_t kRounds = 10'000;

BENCHMARK(send_superframe)->Unit(benchmark::kMicrosecond)->Iterations(kRounds);
BENCHMARK(receive_train)->Unit(benchmark::kMicrosecond)->Iterations(kRounds);

} // namespace
} // namespace weave::dataplane
