// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace weave::dataplane {

struct TrainResult {
    unsigned sends = 0;     ///< successful calls
    unsigned lost = 0;      ///< datagrams that did not go out
    bool fell_back = false; ///< the train was refused as such and sent one by one
    int error = 0;          ///< errno of the last datagram lost; of the train when it fell back
};

/** Errors by which kernels and interfaces refuse a train, as opposed to a datagram (dataplane.md
 * A.2). */
constexpr bool refuses_trains(int error) {
    return error == EMSGSIZE || error == EINVAL || error == EIO;
}

/**
 * Sends equal-sized datagrams (the last may be shorter) by one call, or one by one where trains are
 * refused: a train's error is never taken for a path MTU, and one lost datagram does not take the
 * others along. `send(bytes, segment_size)` returns 0 or an errno value; segment size 0 means one
 * datagram.
 */
template <class Send>
TrainResult send_train(const Send& send, ByteView bytes, std::size_t segment, bool one_by_one) {
    TrainResult result;
    if (!one_by_one || bytes.size() <= segment) {
        const bool train = bytes.size() > segment;
        const int error =
            send(bytes, train ? static_cast<std::uint16_t>(segment) : std::uint16_t{0});
        if (error == 0) {
            result.sends = 1;
            return result;
        }
        result.error = error;
        if (!train || !refuses_trains(error)) {
            result.lost = static_cast<unsigned>((bytes.size() + segment - 1) / segment);
            return result;
        }
        result.fell_back = true;
    }
    for (std::size_t at = 0; at < bytes.size(); at += segment) {
        const ByteView one = bytes.subspan(at, std::min(segment, bytes.size() - at));
        const int error = send(one, std::uint16_t{0});
        if (error == 0) {
            ++result.sends;
        } else {
            ++result.lost;
            result.error = error;
        }
    }
    return result;
}

} // namespace weave::dataplane
