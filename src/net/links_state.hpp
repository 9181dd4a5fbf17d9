// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Inner parts of ControlLinks: no other module includes this.
#pragma once

#include "crypto/init.hpp"
#include "net/control_links.hpp"

#include <boost/asio.hpp>

#include <deque>
#include <set>

namespace weave::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

inline Endpoint from_asio(const tcp::endpoint& endpoint) {
    const auto address = endpoint.address();
    if (address.is_v4()) {
        return {IpAddress::v4(address.to_v4().to_bytes()), endpoint.port()};
    }
    return {IpAddress::v6(address.to_v6().to_bytes()), endpoint.port()};
}

inline tcp::endpoint to_asio(const Endpoint& endpoint) {
    return {asio::ip::make_address(endpoint.address.text()), endpoint.port};
}

inline std::uint64_t random_number() {
    std::array<std::uint8_t, 8> bytes{};
    crypto::random_bytes(bytes);
    std::uint64_t number = 0;
    for (const std::uint8_t byte : bytes) {
        number = number << 8 | byte;
    }
    return number;
}

/** One connection. Kept alive by its coroutines; State::links holds it too while it is wanted. */
struct ControlLinks::Link {
    Link(asio::io_context& io, LinkId id_, bool outbound_)
        : id(id_)
        , outbound(outbound_)
        , socket(io)
        , deadline(io)
        , writable(io) {}

    LinkId id;
    bool outbound;
    tcp::socket socket;
    asio::steady_timer deadline;
    asio::steady_timer writable; ///< cancelled to wake the writer
    Endpoint remote;
    std::uint64_t nonce = 0;
    std::uint64_t own_boot_epoch = 0;
    std::size_t secrets = 0; ///< how many this node could have proposed
    std::unique_ptr<session::ControlHandshake> handshake;
    std::optional<crypto::CipherState> sender;
    std::optional<crypto::CipherState> receiver;
    std::deque<Bytes> queue;
    std::size_t queued_bytes = 0;
    bool writing = false;
    bool pressed = false;  ///< the owner was told, or is about to be, that the queue is long
    bool gave_way = false; ///< an unfinished handshake, too many of which there were
    bool up = false;
    bool closing =
        false; ///< the owner is done with it: what is queued goes out, nothing is delivered
    bool closed = false;

    void shut() {
        closed = true;
        error_code ignored;
        socket.close(ignored);
        deadline.cancel();
        writable.cancel();
    }
};

struct ControlLinks::State : std::enable_shared_from_this<ControlLinks::State> {
    State(asio::io_context& io_,
          LinkSettings settings_,
          std::function<session::ControlLocal(std::uint64_t)> local_,
          LinkEvents events_)
        : io(io_)
        , settings(settings_)
        , local(std::move(local_))
        , events(std::move(events_)) {}

    asio::io_context& io;
    LinkSettings settings;
    std::function<session::ControlLocal(std::uint64_t)> local;
    LinkEvents events;
    std::vector<std::shared_ptr<tcp::acceptor>> acceptors;
    std::map<LinkId, std::shared_ptr<Link>> links;
    /** Inbound links without a finished handshake, the oldest first, and how many a source has. */
    std::set<LinkId> unfinished;
    std::map<IpAddress, std::size_t> unfinished_of;
    LinkId next_id = 1;
    const std::uint64_t instance = random_number() << 32;
    /** What one link read: handled before another reads, so that links that wait have none. */
    std::array<std::uint8_t, 16384> incoming{};
    bool stopped = false;

    std::shared_ptr<Link> make(bool outbound) {
        auto link = std::make_shared<Link>(io, next_id++, outbound);
        link->nonce = instance | random_number() >> 32;
        links.emplace(link->id, link);
        return link;
    }

    void arm(const std::shared_ptr<Link>& link, std::chrono::milliseconds after) {
        link->deadline.expires_after(after);
        link->deadline.async_wait([link](error_code error) {
            if (!error && !link->up) {
                error_code ignored;
                link->socket.close(ignored);
            }
        });
    }

    /** Starts one of the link's loops. One that throws, which nothing a peer sends should make it
     * do, ends its link and no other. */
    void run(const std::shared_ptr<Link>& link, asio::awaitable<void> loop) {
        asio::co_spawn(
            io, std::move(loop), [self = shared_from_this(), link](std::exception_ptr failed) {
                if (failed && !link->closed && !self->stopped) {
                    self->end(link, "internal error");
                }
            });
    }

    asio::awaitable<void> accept_loop(std::shared_ptr<tcp::acceptor> acceptor);
    asio::awaitable<void> run_inbound(std::shared_ptr<Link> link);
    asio::awaitable<void> run_outbound(std::shared_ptr<Link> link);
    asio::awaitable<std::string> shake(std::shared_ptr<Link> link);
    asio::awaitable<void> serve(std::shared_ptr<Link> link);
    asio::awaitable<void> write_loop(std::shared_ptr<Link> link);
    asio::awaitable<std::string> dial(std::shared_ptr<Link> link, std::size_t secret);
    void prepare(Link& link, std::size_t secret);
    void start(const std::shared_ptr<Link>& link);
    bool admit(const IpAddress& address);
    void release(const Link& link);
    std::string deliver(const std::shared_ptr<Link>& link, Bytes& buffer);
    void enqueue(Link& link, ByteView message);
    void report_pressure(const Link& link);
    void end(const std::shared_ptr<Link>& link, const std::string& reason);
};

} // namespace weave::net
