// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weave::crypto {

/**
 * Which counters were seen, after RFC 6479: a ring of 64-bit words, so that moving forward clears
 * whole words. A counter is accepted once, when it is newer than newest() - kWindow. check() before
 * opening a record, commit() after it verified. One thread at a time. `Bits` is a power of two; as
 * many as at 10 Gbit/s pass in some 30 ms.
 */
template <std::size_t Bits = 32768> class ReplayWindow {
    static_assert(Bits >= 128 && (Bits & (Bits - 1)) == 0);
    static constexpr std::size_t kWords = Bits / 64;

  public:
    /** How far behind the newest counter one is still accepted; one word of the ring is always in
     * transit. */
    static constexpr std::uint64_t kWindow = Bits - 64;

    /** True when `counter` is neither seen nor too old. */
    [[nodiscard]] bool check(std::uint64_t counter) const {
        if (!any_ || counter > newest_) {
            return true;
        }
        if (newest_ - counter >= kWindow) {
            return false;
        }
#ifdef WEAVE_BREAK_REPLAY_WINDOW // the simulator proves that it notices
        return true;
#else
        return (words_[word_of(counter)] & bit_of(counter)) == 0;
#endif
    }

    /** Marks `counter` as seen. False, with nothing changed, where check() is false. */
    bool commit(std::uint64_t counter) {
        if (!check(counter)) {
            return false;
        }
        if (any_ && counter > newest_) {
            clear_between(newest_ / 64, counter / 64);
        }
        if (!any_ || counter > newest_) {
            newest_ = counter;
        }
        any_ = true;
        words_[word_of(counter)] |= bit_of(counter);
        return true;
    }

    /** All there is to know of a window, for a process that goes on with it. */
    struct State {
        std::array<std::uint64_t, kWords> words{};
        std::uint64_t newest = 0;
        bool any = false;
    };

    [[nodiscard]] State state() const {
        return {words_, newest_, any_};
    }

    void restore(const State& state) {
        words_ = state.words;
        newest_ = state.newest;
        any_ = state.any;
    }

    /** The greatest counter committed; 0 before the first. */
    [[nodiscard]] std::uint64_t newest() const {
        return newest_;
    }

  private:
    static std::size_t word_of(std::uint64_t counter) {
        return static_cast<std::size_t>(counter / 64) & (kWords - 1);
    }

    static std::uint64_t bit_of(std::uint64_t counter) {
        return std::uint64_t{1} << (counter % 64);
    }

    /** Forgets the words after `from` up to and with `to` (counted in words). */
    void clear_between(std::uint64_t from, std::uint64_t to) {
        if (to - from >= kWords) {
            words_.fill(0);
            return;
        }
        for (std::uint64_t i = from + 1; i <= to; ++i) {
            words_[static_cast<std::size_t>(i) & (kWords - 1)] = 0;
        }
    }

    std::array<std::uint64_t, kWords> words_{};
    std::uint64_t newest_ = 0;
    bool any_ = false;
};

static_assert(ReplayWindow<>::kWindow >= 8192);

} // namespace weave::crypto
