// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.hpp"
#include "crypto/init.hpp"
#include "crypto/replay.hpp"

#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace weave::crypto {
namespace {

constexpr std::size_t kBatch = 46; // records of one superframe
constexpr std::size_t kSlot = 2048;
constexpr std::size_t kHeader = 16;

/** Records laid out as in a train: header, ciphertext, tag. */
struct Train {
    explicit Train(std::size_t size)
        : plain(kBatch * kSlot, 0x5a)
        , sealed(kBatch * kSlot)
        , opened(kBatch * kSlot) {
        for (std::size_t i = 0; i < kBatch; ++i) {
            std::uint8_t* record = sealed.data() + i * kSlot;
            seal.push_back({plain.data() + i * kSlot,
                            static_cast<std::uint32_t>(size),
                            record + kHeader,
                            record + 8,
                            record,
                            kHeader});
            open.push_back({record + kHeader,
                            static_cast<std::uint32_t>(size + 16),
                            opened.data() + i * kSlot,
                            i,
                            record,
                            kHeader,
                            false});
        }
    }

    Bytes plain, sealed, opened;
    std::vector<SealItem> seal;
    std::vector<OpenItem> open;
};

Key32 some_key() {
    Key32 key;
    key.span()[0] = 7;
    return key;
}

void seal_batch(benchmark::State& state, Suite suite, Provider provider) {
    init();
    if (!available(provider, suite)) {
        state.SkipWithError("not available here");
        return;
    }
    const auto size = static_cast<std::size_t>(state.range(0));
    Train train{size};
    SealingKey key{suite, provider, some_key()};
    for (auto _ : state) {
        if (!key.seal_batch(train.seal)) {
            state.SkipWithError("the key is used up");
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatch * size));
}

void open_batch(benchmark::State& state, Suite suite, Provider provider) {
    init();
    if (!available(provider, suite)) {
        state.SkipWithError("not available here");
        return;
    }
    const auto size = static_cast<std::size_t>(state.range(0));
    Train train{size};
    SealingKey sealing{suite, provider, some_key()};
    if (!sealing.seal_batch(train.seal)) {
        state.SkipWithError("the key is used up");
    }
    OpeningKey key{suite, provider, some_key()};
    for (auto _ : state) {
        key.open_batch(train.open);
    }
    if (key.failures() != 0) {
        state.SkipWithError("a record did not open");
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatch * size));
}

void replay_window_in_order(benchmark::State& state) {
    ReplayWindow<> window;
    std::uint64_t counter = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(window.check(counter));
        benchmark::DoNotOptimize(window.commit(counter));
        ++counter;
    }
    state.SetItemsProcessed(state.iterations());
}

void replay_window_reordered(benchmark::State& state) {
    ReplayWindow<> window;
    std::uint64_t counter = 0;
    for (auto _ : state) {
        const std::uint64_t swapped = counter ^ 63; // every 64 arrive backwards
        benchmark::DoNotOptimize(window.check(swapped));
        benchmark::DoNotOptimize(window.commit(swapped));
        ++counter;
    }
    state.SetItemsProcessed(state.iterations());
}

int register_ciphers() {
    for (const Suite suite : kSuites) {
        for (const Provider provider : kProviders) {
            const std::string what = std::string{name(provider)} + "/" + name(suite);
            benchmark::RegisterBenchmark(
                ("seal_batch/" + what).c_str(), seal_batch, suite, provider)
                ->Arg(64)
                ->Arg(1420);
            benchmark::RegisterBenchmark(
                ("open_batch/" + what).c_str(), open_batch, suite, provider)
                ->Arg(64)
                ->Arg(1420);
        }
    }
    return 0;
}

const int kRegistered = register_ciphers();

BENCHMARK(replay_window_in_order);
BENCHMARK(replay_window_reordered);

} // namespace
} // namespace weave::crypto
