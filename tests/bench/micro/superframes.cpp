// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/merge.hpp"
#include "dataplane/packet.hpp"
#include "dataplane/segment.hpp"
#include "tcp_frame.hpp"

#include <benchmark/benchmark.h>

namespace weave::dataplane {
namespace {

constexpr MacAddress kNear{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kFar{{2, 0, 0, 0, 0, 2}};
constexpr std::size_t kPieces = 46;
constexpr std::size_t kPiece = 1324;
constexpr std::size_t kSlot = 2048;

void parse(benchmark::State& state) {
    const Bytes frame = tcp_frame(kNear, kFar, kPiece);
    for (auto _ : state) {
        benchmark::DoNotOptimize(parse_frame(frame));
    }
    state.SetItemsProcessed(state.iterations());
}

/** Cutting stamps headers over what was there, so each round needs the first header again. */
void segment(benchmark::State& state) {
    Bytes frame = tcp_frame(kNear, kFar, kPieces * kPiece);
    const Bytes header{frame.begin(), frame.begin() + kTcpFrameHeader};
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
    Bytes super = tcp_frame(kNear, kFar, kPieces * kPiece);
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
            const ByteSpan frame{memory.data() + i * kSlot, kTcpFrameHeader + kPiece};
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
