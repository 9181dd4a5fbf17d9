// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "session/control.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weave::net {

/** Names one TCP link for as long as the process lives; never reused. */
using LinkId = std::uint64_t;

struct LinkSettings {
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds handshake_timeout{10'000};
    /** A link whose peer acknowledges nothing for this long is closed (TCP_USER_TIMEOUT). Of an
     * idle one the kernel asks each second and looks then, so that it is noticed a second later at
     * most; what is written meanwhile starts the count anew, once. */
    std::chrono::milliseconds dead_after{2'000};
    /** How long close() tries to get the farewell to the peer. */
    std::chrono::milliseconds farewell_timeout{1'000};
    /** Inbound connections that have not finished the handshake, in all (the oldest gives way) and
     * from one address (the newest is refused). */
    std::size_t max_half_open = 256;
    std::size_t max_half_open_per_source = 16;
    /** Bytes waiting to be written to one link: above the first the owner is asked to send no more,
     * until they are below the second. */
    std::size_t high_water = 1U << 20;
    std::size_t low_water = 256U << 10;
    /** A link whose owner sends on all the same is closed with so many bytes waiting. */
    std::size_t max_queue_bytes = 8U << 20;
};

struct LinkUp {
    LinkId link = 0;
    bool outbound = false;
    Endpoint remote;
    Endpoint local;
    session::ControlPeer peer;
    std::uint64_t own_nonce = 0;
    std::uint64_t own_boot_epoch = 0; ///< as said in this handshake
};

/** What the owner does with links. Called on the io_context's thread, never from inside a call of
 * ControlLinks. */
struct LinkEvents {
    std::function<void(const LinkUp&)> on_up;
    std::function<void(LinkId, ByteView)> on_message;
    /** A link that was up ended. */
    std::function<void(LinkId, const std::string& reason)> on_down;
    /** Much waits to be written to the link, or no longer does. May be empty. */
    std::function<void(LinkId, bool pressed)> on_pressure;
    /** A dialled connection never came up; `refusal` when the handshake gave the reason. */
    std::function<void(LinkId,
                       const Endpoint&,
                       std::optional<session::ControlFailure> refusal,
                       const std::string& reason)>
        on_failed;
    /** An inbound connection was turned away: a name to count and a sentence. */
    std::function<void(
        const Endpoint&, std::optional<session::ControlFailure>, const std::string& reason)>
        on_refused;
};

/**
 * Drives TCP connections between routers: Noise handshake, then length-prefixed sealed messages. It
 * knows nothing of what the messages mean. One thread, the io_context's.
 */
class ControlLinks {
  public:
    ControlLinks(boost::asio::io_context& io,
                 LinkSettings settings,
                 std::function<session::ControlLocal(std::uint64_t nonce)> local,
                 LinkEvents events);
    ~ControlLinks();
    ControlLinks(const ControlLinks&) = delete;
    ControlLinks& operator=(const ControlLinks&) = delete;

    /** Returns where it listens: the kernel chooses for port 0. Throws std::system_error with a
     * sentence when the address cannot be bound. */
    Endpoint listen(const Endpoint& endpoint);
    /** Starts to connect; ends in on_up or on_failed. A peer that lacks the secret proposed is
     * asked again at once with each other one. */
    LinkId dial(const Endpoint& endpoint);
    /** Queues one message of at most kMaxMessage bytes; unknown links are ignored. */
    void send(LinkId id, ByteView message);
    /** Ends a link without further events for it. The farewell, one last message unless empty, goes
     * out behind what is queued, as far as the peer takes it within farewell_timeout. */
    void close(LinkId id, ByteView farewell = {});
    /** Ends all links and listening, and no event follows. The farewell goes where it can be
     * written without waiting. */
    void stop(ByteView farewell);
    [[nodiscard]] std::size_t half_open() const;

    /** A sealed message and its tag have to fit in a 16-bit length. */
    static constexpr std::size_t kMaxMessage = 65'519;

    struct State;
    struct Link;

  private:
    std::shared_ptr<State> state_;
};

} // namespace weave::net
