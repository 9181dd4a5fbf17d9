// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "dataplane/kernel_errors.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace weave::dataplane {

struct TrainResult {
    unsigned sends = 0;              ///< successful calls
    unsigned lost = 0;               ///< datagrams that did not go out
    bool took_train = false;         ///< several went by one call
    bool fell_back = false;          ///< the train was refused as such and sent one by one
    bool no_trains = false;          ///< the next ones would be, too
    bool too_big = false;            ///< some datagram is larger than the interface carries
    Drop reason = Drop::send_failed; ///< of the last that was lost
};

/**
 * Sends equal-sized datagrams (the last may be shorter) by one call, or one by one where trains are
 * refused: a train's error is never taken for a path MTU, and one lost datagram does not take the
 * others along; none that was taken is sent again. `send(bytes, segment_size)` returns 0 or an
 * errno value; segment size 0 means one datagram. `wait()` is asked where there is no room: false,
 * it does not wait (any more).
 */
template <class Send, class Wait> class TrainSender {
  public:
    TrainSender(const Send& send, const Wait& wait)
        : send_(send)
        , wait_(wait) {}

    TrainResult operator()(ByteView bytes, std::size_t segment, bool one_by_one) {
        TrainResult result;
        const bool several = bytes.size() > segment;
        if (!several || !one_by_one) {
            const auto verdict = attempt(bytes, several ? segment : 0);
            if (!verdict) {
                result.sends = 1;
                result.took_train = several;
                return result;
            }
            if (verdict->remedy != Remedy::split && verdict->remedy != Remedy::split_for_now) {
                note_loss(result, *verdict, (bytes.size() + segment - 1) / segment);
                return result;
            }
            result.fell_back = true;
            result.no_trains = verdict->remedy == Remedy::split_for_now;
        }
        for (std::size_t at = 0; at < bytes.size(); at += segment) {
            const ByteView one = bytes.subspan(at, std::min(segment, bytes.size() - at));
            if (const auto verdict = attempt(one, 0)) {
                note_loss(result, *verdict, 1);
            } else {
                ++result.sends;
            }
        }
        // Where single datagrams are refused, too, the train was not to blame.
        result.no_trains = result.no_trains && result.lost == 0;
        return result;
    }

  private:
    static constexpr int kAttempts = 4;

    /** nullopt: it went out. */
    std::optional<Verdict> attempt(ByteView bytes, std::size_t segment) {
        for (int left = kAttempts;; --left) {
            const int error = send_(bytes, static_cast<std::uint16_t>(segment));
            if (error == 0) {
                return std::nullopt;
            }
            const Verdict verdict = judge_error(Operation::send, error, segment != 0);
            const bool again = left > 1 && (verdict.remedy == Remedy::again ||
                                            (verdict.remedy == Remedy::wait && wait_()));
            if (!again) {
                return verdict;
            }
        }
    }

    static void note_loss(TrainResult& result, const Verdict& verdict, std::size_t datagrams) {
        result.lost += static_cast<unsigned>(datagrams);
        result.reason = verdict.reason;
        result.too_big = result.too_big || verdict.reason == Drop::too_big;
    }

    const Send& send_;
    const Wait& wait_;
};

template <class Send, class Wait>
TrainResult send_train(
    const Send& send, const Wait& wait, ByteView bytes, std::size_t segment, bool one_by_one) {
    return TrainSender<Send, Wait>{send, wait}(bytes, segment, one_by_one);
}

} // namespace weave::dataplane
