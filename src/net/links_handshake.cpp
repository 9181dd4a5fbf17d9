// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// ControlLinks: from a connection to a link.
#include "net/links_state.hpp"

#include <fmt/format.h>

#include <algorithm>

#include <netinet/tcp.h>

namespace weave::net {
namespace {

void set_option(tcp::socket& socket, int level, int option, int value) {
    // Best effort: a kernel without the option still notices dead peers, only later.
    std::ignore = ::setsockopt(socket.native_handle(), level, option, &value, sizeof value);
}

} // namespace

/** Makes the handshake; who dials proposes the secret of that number. */
void ControlLinks::State::prepare(Link& link, std::size_t secret) {
    const auto dead = static_cast<int>(settings.dead_after.count());
    set_option(link.socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(link.socket, IPPROTO_TCP, TCP_USER_TIMEOUT, dead);
    set_option(link.socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, dead / 4000));
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, dead / 4000));
    set_option(link.socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
    session::ControlLocal own = local(link.nonce);
    link.own_boot_epoch = own.boot_epoch;
    link.secrets = own.secrets.size();
    std::rotate(own.secrets.begin(),
                own.secrets.begin() + static_cast<std::ptrdiff_t>(secret),
                own.secrets.end());
    link.handshake = std::make_unique<session::ControlHandshake>(std::move(own), link.outbound);
}

/** Whoever has one IPv6 address has the /64 around it. */
IpAddress neighbourhood(const IpAddress& source) {
    return source.is_v4() ? source : Prefix{source, 64}.network().address;
}

/** Is there room for one more? Among many sources the oldest gives way, so that silent ones keep
 * nobody out for long. */
bool ControlLinks::State::admit(const IpAddress& address) {
    const auto from_source = unfinished_of.find(neighbourhood(address));
    if (from_source != unfinished_of.end() &&
        from_source->second >= settings.max_half_open_per_source) {
        return false;
    }
    if (unfinished.size() >= settings.max_half_open) {
        const auto oldest = links.at(*unfinished.begin());
        release(*oldest);
        oldest->gave_way = true;
        error_code ignored;
        oldest->socket.close(ignored);
    }
    return true;
}

void ControlLinks::State::release(const Link& link) {
    if (unfinished.erase(link.id) == 0) {
        return;
    }
    const auto entry = unfinished_of.find(neighbourhood(link.remote.address));
    if (--entry->second == 0) {
        unfinished_of.erase(entry);
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
        unfinished.insert(link->id);
        ++unfinished_of[neighbourhood(from.address)];
        run(link, run_inbound(link));
    }
}

asio::awaitable<void> ControlLinks::State::run_inbound(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    prepare(*link, 0);
    arm(link, settings.handshake_timeout);
    std::string reason = co_await shake(link);
    release(*link);
    if (link->gave_way) {
        reason = "too many unfinished handshakes";
    }
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

/** One connection and its handshake; an empty text when it succeeded, else the reason. */
asio::awaitable<std::string> ControlLinks::State::dial(std::shared_ptr<Link> link,
                                                       std::size_t secret) {
    arm(link, settings.connect_timeout);
    const auto [error] = co_await link->socket.async_connect(to_asio(link->remote), kTuple);
    if (error) {
        co_return error == asio::error::operation_aborted ? "timed out while connecting"
                                                          : error.message();
    }
    prepare(*link, secret);
    arm(link, settings.handshake_timeout);
    co_return co_await shake(link);
}

asio::awaitable<void> ControlLinks::State::run_outbound(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    std::optional<session::ControlFailure> refusal;
    std::string reason;
    std::size_t secret = 0;
    do {
        link->socket = tcp::socket{io};
        link->handshake.reset();
        reason = co_await dial(link, secret);
        if (stopped || link->closed) {
            co_return;
        }
        const bool failed = link->handshake &&
                            link->handshake->status() == session::ControlHandshake::Status::failed;
        refusal = failed ? std::optional(link->handshake->failure()) : std::nullopt;
        // While a secret is replaced, some nodes have only one of the two.
    } while (refusal == session::ControlFailure::refused_secret && ++secret < link->secrets);
    if (!reason.empty()) {
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

} // namespace weave::net
