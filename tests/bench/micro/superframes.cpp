// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/merge.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/segment.hpp"

#include <benchmark/benchmark.h>

namespace weave::dataplane {
namespace {

constexpr std::size_t kPieces = 46;
constexpr std::size_t kPiece = 1324;
constexpr std::size_t kTcp = 14 + 20;
constexpr std::size_t kPayload = kTcp + 32;
constexpr std::size_t kSlot = 2048;

/** The headers of a TCP over IPv4 frame with timestamps, as a TAP hands them over. */
Bytes tcp_frame(std::size_t payload) {
    Bytes frame(kPayload + payload, 0x5a);
    frame[12] = 0x08;
    frame[13] = 0x00;
    std::uint8_t* ip = frame.data() + 14;
    std::fill_n(ip, 20 + 32, std::uint8_t{0});
    ip[0] = 0x45;
    store_be16(ip + 2, frame.size() - 14);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = kProtocolTcp;
    ip[12] = ip[16] = 10;
    ip[15] = 1;
    ip[19] = 2;
    std::uint8_t* tcp = frame.data() + kTcp;
    store_be16(tcp, 40000);
    store_be16(tcp + 2, 5001);
    store_be32(tcp + 4, 1000);
    tcp[12] = 0x80;
    tcp[13] = 0x10;
    return frame;
}

void parse(benchmark::State& state) {
    const Bytes frame = tcp_frame(kPiece);
    for (auto _ : state) {
        benchmark::DoNotOptimize(parse_frame(frame));
    }
    state.SetItemsProcessed(state.iterations());
}

/** Cutting stamps headers over what was there, so each round needs the first header again. */
void segment(benchmark::State& state) {
    Bytes frame = tcp_frame(kPieces * kPiece);
    const Bytes header{frame.begin(), frame.begin() + kPayload};
    for (auto _ : state) {
        std::copy(header.begin(), header.end(), frame.begin());
        const auto packet = parse_frame(frame, true);
        auto segmenter = Segmenter::create(frame, *packet, kPiece);
        for (ByteSpan piece = segmenter->next(); !piece.empty(); piece = segmenter->next()) {
            benchmark::DoNotOptimize(piece.data());
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
}

class Nowhere final : public FrameSink {
  public:
    void write(const VnetHeader&,
               std::span<const iovec> parts,
               std::span<const ByteView> frames) override {
        benchmark::DoNotOptimize(parts.data());
        written += frames.size();
    }

    std::size_t written = 0;
};

void merge(benchmark::State& state) {
    Bytes memory(kPieces * kSlot);
    Bytes super = tcp_frame(kPieces * kPiece);
    const auto packet = parse_frame(super, true);
    auto segmenter = Segmenter::create(super, *packet, kPiece);
    std::size_t count = 0;
    for (ByteSpan piece = segmenter->next(); !piece.empty(); piece = segmenter->next()) {
        std::copy(piece.begin(), piece.end(), memory.data() + count++ * kSlot);
    }
    Nowhere sink;
    Merger merger{sink, true};
    for (auto _ : state) {
        for (std::size_t i = 0; i < kPieces; ++i) {
            const ByteSpan frame{memory.data() + i * kSlot, kPayload + kPiece};
            merger.add(frame, *parse_frame(frame), true);
        }
        merger.flush();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
}

BENCHMARK(parse);
BENCHMARK(segment)->Unit(benchmark::kMicrosecond);
BENCHMARK(merge)->Unit(benchmark::kMicrosecond);

} // namespace
} // namespace weave::dataplane
