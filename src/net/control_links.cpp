// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "net/control_links.hpp"

#include "crypto/init.hpp"

#include <boost/asio.hpp>
#include <fmt/format.h>

#include <deque>

#include <netinet/tcp.h>

namespace weave::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

Endpoint from_asio(const tcp::endpoint& endpoint) {
    const auto address = endpoint.address();
    if (address.is_v4()) {
        return {IpAddress::v4(address.to_v4().to_bytes()), endpoint.port()};
    }
    return {IpAddress::v6(address.to_v6().to_bytes()), endpoint.port()};
}

tcp::endpoint to_asio(const Endpoint& endpoint) {
    return {asio::ip::make_address(endpoint.address.text()), endpoint.port};
}

std::uint64_t random_number() {
    std::array<std::uint8_t, 8> bytes{};
    crypto::random_bytes(bytes);
    std::uint64_t number = 0;
    for (const std::uint8_t byte : bytes) {
        number = number << 8 | byte;
    }
    return number;
}

void set_option(tcp::socket& socket, int level, int option, int value) {
    // Best effort: a kernel without the option still notices dead peers, only later.
    std::ignore = ::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
}

} // namespace

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
    std::unique_ptr<session::ControlHandshake> handshake;
    std::optional<crypto::CipherState> sender;
    std::optional<crypto::CipherState> receiver;
    std::deque<Bytes> queue;
    std::size_t queued_bytes = 0;
    bool up = false;
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
    std::map<IpAddress, std::size_t> half_open;
    std::size_t half_open_total = 0;
    LinkId next_id = 1;
    const std::uint64_t instance = random_number() << 32;
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
    void prepare(Link& link);
    void start(const std::shared_ptr<Link>& link);
    bool admit(const IpAddress& source);
    void release(const IpAddress& source);
    std::string deliver(const std::shared_ptr<Link>& link, Bytes& buffer);
    void end(const std::shared_ptr<Link>& link, const std::string& reason);
};

void ControlLinks::State::prepare(Link& link) {
    const auto dead = static_cast<int>(settings.dead_after.count());
    set_option(link.socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(link.socket, IPPROTO_TCP, TCP_USER_TIMEOUT, dead);
    set_option(link.socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, dead / 4000));
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, dead / 4000));
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
    session::ControlLocal own = local(link.nonce);
    link.own_boot_epoch = own.boot_epoch;
    link.handshake = std::make_unique<session::ControlHandshake>(
        std::move(own), link.outbound, [](ByteSpan out) { crypto::random_bytes(out); });
}

/** Whoever has one IPv6 address has the /64 around it. */
IpAddress neighbourhood(const IpAddress& source) {
    return source.is_v4() ? source : Prefix{source, 64}.network().address;
}

bool ControlLinks::State::admit(const IpAddress& address) {
    const IpAddress source = neighbourhood(address);
    std::size_t& from_source = half_open[source];
    if (half_open_total >= settings.max_half_open ||
        from_source >= settings.max_half_open_per_source) {
        if (from_source == 0) {
            half_open.erase(source);
        }
        return false;
    }
    ++from_source;
    ++half_open_total;
    return true;
}

void ControlLinks::State::release(const IpAddress& address) {
    const auto entry = half_open.find(neighbourhood(address));
    if (entry == half_open.end()) {
        return;
    }
    --half_open_total;
    if (--entry->second == 0) {
        half_open.erase(entry);
    }
}

asio::awaitable<void> ControlLinks::State::accept_loop(std::shared_ptr<tcp::acceptor> acceptor) {
    const auto self = shared_from_this();
    while (!stopped) {
        tcp::socket socket{io};
        const auto [error] = co_await acceptor->async_accept(socket, kTuple);
        if (stopped || error == asio::error::operation_aborted) {
            co_return;
        }
        error_code no_remote;
        const auto remote = error ? tcp::endpoint{} : socket.remote_endpoint(no_remote);
        if (error || no_remote) {
            // Out of descriptors, or the peer is gone already: wait a little instead of spinning.
            asio::steady_timer pause{io, std::chrono::milliseconds(20)};
            co_await pause.async_wait(kTuple);
            continue;
        }
        const Endpoint from = from_asio(remote);
        if (!admit(from.address)) {
            events.on_refused(from, std::nullopt, "too many unfinished handshakes");
            continue;
        }
        const auto link = make(false);
        link->socket = std::move(socket);
        link->remote = from;
        run(link, run_inbound(link));
    }
}

asio::awaitable<void> ControlLinks::State::run_inbound(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    prepare(*link);
    arm(link, settings.handshake_timeout);
    const std::string reason = co_await shake(link);
    release(link->remote.address);
    if (stopped) {
        co_return;
    }
    if (!reason.empty()) {
        const bool failed = link->handshake->status() == session::ControlHandshake::Status::failed;
        events.on_refused(link->remote,
                          failed ? std::optional(link->handshake->failure()) : std::nullopt,
                          reason);
        link->shut();
        links.erase(link->id);
        co_return;
    }
    start(link);
}

asio::awaitable<void> ControlLinks::State::run_outbound(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    arm(link, settings.connect_timeout);
    const auto [error] = co_await link->socket.async_connect(to_asio(link->remote), kTuple);
    std::string reason;
    if (error) {
        reason = error == asio::error::operation_aborted ? "timed out while connecting"
                                                         : error.message();
    } else {
        prepare(*link);
        arm(link, settings.handshake_timeout);
        reason = co_await shake(link);
    }
    if (stopped || link->closed) {
        co_return;
    }
    if (!reason.empty()) {
        const bool failed = link->handshake &&
                            link->handshake->status() == session::ControlHandshake::Status::failed;
        const auto refusal = failed ? std::optional(link->handshake->failure()) : std::nullopt;
        link->shut();
        links.erase(link->id);
        events.on_failed(link->id, link->remote, refusal, reason);
        co_return;
    }
    start(link);
}

/** Runs the handshake; an empty text when it succeeded, else the reason. */
asio::awaitable<std::string> ControlLinks::State::shake(std::shared_ptr<Link> link) {
    using Status = session::ControlHandshake::Status;
    std::array<std::uint8_t, 4096> chunk{};
    for (;;) {
        const Bytes out = link->handshake->take_output();
        if (!out.empty()) {
            const auto [error, size] =
                co_await asio::async_write(link->socket, asio::buffer(out), kTuple);
            if (error && link->handshake->status() == Status::running) {
                co_return fmt::format("connection lost during the handshake: {}", error.message());
            }
        }
        if (link->handshake->status() == Status::done) {
            co_return std::string{};
        }
        if (link->handshake->status() == Status::failed) {
            co_return std::string{session::sentence(link->handshake->failure())};
        }
        const auto [error, size] =
            co_await link->socket.async_read_some(asio::buffer(chunk), kTuple);
        if (error) {
            co_return error == asio::error::eof
                ? std::string{"the other side closed the connection during the handshake"}
            : error == asio::error::operation_aborted || error == asio::error::bad_descriptor
                ? std::string{"the handshake took too long"}
                : error.message();
        }
        link->handshake->on_bytes(ByteView{chunk}.first(size));
    }
}

void ControlLinks::State::start(const std::shared_ptr<Link>& link) {
    link->up = true;
    link->deadline.cancel();
    link->sender.emplace(link->handshake->take_sender());
    link->receiver.emplace(link->handshake->take_receiver());
    error_code ignored;
    LinkUp up{link->id,
              link->outbound,
              link->remote,
              from_asio(link->socket.local_endpoint(ignored)),
              link->handshake->peer(),
              link->nonce,
              link->own_boot_epoch};
    // First the news, then what the peer says: co_spawn() runs serve() at once, and a message may
    // have come together with the last of the handshake.
    events.on_up(up);
    run(link, write_loop(link));
    run(link, serve(link));
}

asio::awaitable<void> ControlLinks::State::serve(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    Bytes buffer = link->handshake->take_leftover();
    link->handshake.reset();
    std::array<std::uint8_t, 16384> chunk{};
    for (;;) {
        const std::string bad = deliver(link, buffer);
        if (link->closed || stopped) {
            co_return;
        }
        if (!bad.empty()) {
            end(link, bad);
            co_return;
        }
        const auto [error, size] =
            co_await link->socket.async_read_some(asio::buffer(chunk), kTuple);
        if (link->closed || stopped) {
            co_return;
        }
        if (error) {
            end(link, error == asio::error::eof ? "closed by the peer" : error.message());
            co_return;
        }
        buffer.insert(
            buffer.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(size));
    }
}

/** Opens and hands up every whole message at the front of the buffer. A text: the link is broken.
 */
std::string ControlLinks::State::deliver(const std::shared_ptr<Link>& link, Bytes& buffer) {
    std::size_t at = 0;
    while (buffer.size() - at >= 2) {
        const std::size_t length = std::size_t{buffer[at]} | std::size_t{buffer[at + 1]} << 8;
        if (buffer.size() - at - 2 < length) {
            break;
        }
        const auto message = link->receiver->open({}, ByteView{buffer}.subspan(at + 2, length));
        if (!message) {
            return "a message did not authenticate";
        }
        at += 2 + length;
        events.on_message(link->id, *message);
        if (link->closed) {
            return {};
        }
    }
    buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(at));
    return {};
}

asio::awaitable<void> ControlLinks::State::write_loop(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    while (!link->closed && !stopped) {
        if (link->queue.empty()) {
            link->writable.expires_at(asio::steady_timer::time_point::max());
            co_await link->writable.async_wait(kTuple);
            continue;
        }
        const Bytes message = std::move(link->queue.front());
        link->queue.pop_front();
        link->queued_bytes -= message.size();
        const auto [error, size] =
            co_await asio::async_write(link->socket, asio::buffer(message), kTuple);
        if (error && !link->closed && !stopped) {
            end(link, error.message());
            co_return;
        }
    }
}

void ControlLinks::State::end(const std::shared_ptr<Link>& link, const std::string& reason) {
    link->shut();
    links.erase(link->id);
    events.on_down(link->id, reason);
}

ControlLinks::ControlLinks(asio::io_context& io,
                           LinkSettings settings,
                           std::function<session::ControlLocal(std::uint64_t)> local,
                           LinkEvents events)
    : state_(std::make_shared<State>(io, settings, std::move(local), std::move(events))) {}

ControlLinks::~ControlLinks() {
    state_->stopped = true;
    for (const auto& acceptor : state_->acceptors) {
        error_code ignored;
        acceptor->close(ignored);
    }
    for (const auto& [id, link] : state_->links) {
        link->shut();
    }
    state_->links.clear();
}

Endpoint ControlLinks::listen(const Endpoint& endpoint) {
    const tcp::endpoint local = to_asio(endpoint);
    auto acceptor = std::make_shared<tcp::acceptor>(state_->io);
    error_code error;
    acceptor->open(local.protocol(), error);
    if (!error && endpoint.address.is_v6()) {
        acceptor->set_option(asio::ip::v6_only(true), error);
    }
    if (!error) {
        acceptor->set_option(tcp::acceptor::reuse_address(true), error);
        acceptor->bind(local, error);
    }
    if (!error) {
        acceptor->listen(512, error);
    }
    if (error) {
        throw std::system_error(std::error_code(error),
                                fmt::format("cannot listen on TCP {}", endpoint.text()));
    }
    state_->acceptors.push_back(acceptor);
    asio::co_spawn(state_->io, state_->accept_loop(acceptor), asio::detached);
    return from_asio(acceptor->local_endpoint());
}

LinkId ControlLinks::dial(const Endpoint& endpoint) {
    const auto link = state_->make(true);
    link->remote = endpoint;
    state_->run(link, state_->run_outbound(link));
    return link->id;
}

void ControlLinks::send(LinkId id, ByteView message) {
    const auto entry = state_->links.find(id);
    if (entry == state_->links.end() || !entry->second->up || message.size() > kMaxMessage) {
        return;
    }
    const auto link = entry->second;
    const Bytes sealed = link->sender->seal({}, message);
    Bytes framed{static_cast<std::uint8_t>(sealed.size()),
                 static_cast<std::uint8_t>(sealed.size() >> 8)};
    framed.insert(framed.end(), sealed.begin(), sealed.end());
    link->queued_bytes += framed.size();
    link->queue.push_back(std::move(framed));
    if (link->queued_bytes > state_->settings.max_queue_bytes) {
        asio::post(state_->io, [state = state_, link] {
            if (!link->closed && !state->stopped) {
                state->end(link, "the peer reads too slowly");
            }
        });
    }
    link->writable.cancel();
}

void ControlLinks::close(LinkId id) {
    const auto entry = state_->links.find(id);
    if (entry != state_->links.end()) {
        const auto link = entry->second;
        state_->links.erase(entry);
        link->shut();
    }
}

std::size_t ControlLinks::half_open() const {
    return state_->half_open_total;
}

} // namespace weave::net
