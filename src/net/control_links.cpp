// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "net/control_links.hpp"

#include "net/links_state.hpp"
#include "wire/control.hpp"

#include <fmt/format.h>

#include <tuple>
#include <utility>

namespace weave::net {

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
    error_code error;
    link->socket.non_blocking(true, error);
    for (;;) {
        const std::string bad = deliver(link, buffer);
        if (link->closed || stopped) {
            co_return;
        }
        if (!bad.empty()) {
            end(link, bad);
            co_return;
        }
        // Not async_read_some(): it would need a buffer for as long as the link is silent.
        std::tie(error) = co_await link->socket.async_wait(tcp::socket::wait_read, kTuple);
        if (link->closed || stopped) {
            co_return;
        }
        std::size_t size = 0;
        if (!error) {
            size = link->socket.read_some(asio::buffer(incoming), error);
        }
        if (error && error != asio::error::would_block) {
            end(link, error == asio::error::eof ? "closed by the peer" : error.message());
            co_return;
        }
        buffer.insert(
            buffer.end(), incoming.begin(), incoming.begin() + static_cast<std::ptrdiff_t>(size));
    }
}

/** Opens and hands up every whole message at the front of the buffer. A text: the link is broken.
 */
std::string ControlLinks::State::deliver(const std::shared_ptr<Link>& link, Bytes& buffer) {
    if (link->closing) {
        buffer.clear(); // read all the same: closing over unread bytes would reset the connection
    }
    ByteView rest = buffer;
    while (const auto sealed = wire::take_control_message(rest)) {
        const auto message = link->receiver->open({}, *sealed);
        if (!message) {
            return "a message did not authenticate";
        }
        events.on_message(link->id, *message);
        if (link->closed || link->closing) {
            buffer.clear();
            return {};
        }
    }
    buffer = Bytes(rest.begin(), rest.end()); // with no more room than that
    return {};
}

asio::awaitable<void> ControlLinks::State::write_loop(std::shared_ptr<Link> link) {
    const auto self = shared_from_this();
    while (!link->closed && !stopped) {
        if (link->queue.empty() && link->closing) {
            error_code ignored;
            link->socket.shutdown(tcp::socket::shutdown_send, ignored);
            co_return; // serve() waits for the other end to close, too
        }
        if (link->queue.empty()) {
            link->writable.expires_at(asio::steady_timer::time_point::max());
            co_await link->writable.async_wait(kTuple);
            continue;
        }
        const Bytes message = std::move(link->queue.front());
        link->queue.pop_front();
        link->queued_bytes -= message.size();
        link->writing = true;
        const auto [error, size] =
            co_await asio::async_write(link->socket, asio::buffer(message), kTuple);
        link->writing = false;
        if (link->closed || stopped) {
            co_return;
        }
        if (error) {
            end(link, error.message());
            co_return;
        }
        if (link->pressed && link->queued_bytes < settings.low_water) {
            link->pressed = false;
            report_pressure(*link);
        }
    }
}

void ControlLinks::State::enqueue(Link& link, ByteView message) {
    const Bytes sealed = link.sender->seal({}, message);
    Bytes framed{static_cast<std::uint8_t>(sealed.size()),
                 static_cast<std::uint8_t>(sealed.size() >> 8)};
    framed.insert(framed.end(), sealed.begin(), sealed.end());
    link.queued_bytes += framed.size();
    link.queue.push_back(std::move(framed));
    link.writable.cancel();
}

void ControlLinks::State::report_pressure(const Link& link) {
    if (events.on_pressure && !link.closing && !link.closed && !stopped) {
        events.on_pressure(link.id, link.pressed);
    }
}

void ControlLinks::State::end(const std::shared_ptr<Link>& link, const std::string& reason) {
    release(*link);
    link->shut();
    if (links.erase(link->id) > 0 && link->up) { // else its owner closed it, or never heard of it
        events.on_down(link->id, reason);
    }
}

ControlLinks::ControlLinks(asio::io_context& io,
                           LinkSettings settings,
                           std::function<session::ControlLocal(std::uint64_t)> local,
                           LinkEvents events)
    : state_(std::make_shared<State>(io, settings, std::move(local), std::move(events))) {}

ControlLinks::~ControlLinks() {
    stop({});
}

void ControlLinks::stop(ByteView farewell) {
    if (std::exchange(state_->stopped, true)) {
        return;
    }
    for (const auto& acceptor : state_->acceptors) {
        error_code ignored;
        acceptor->close(ignored);
    }
    for (const auto& [id, link] : state_->links) {
        if (link->up && !link->writing && !farewell.empty()) {
            error_code error;
            state_->enqueue(*link, farewell);
            link->socket.non_blocking(true, error);
            for (const Bytes& message : link->queue) {
                if (link->socket.write_some(asio::buffer(message), error) != message.size()) {
                    break; // it reads too slowly to be waited for
                }
            }
        }
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
        acceptor->listen(asio::socket_base::max_listen_connections, error);
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
    const LinkSettings& settings = state_->settings;
    state_->enqueue(*link, message);
    if (link->queued_bytes > settings.max_queue_bytes) {
        asio::post(state_->io, [state = state_, link] {
            if (!link->closed && !state->stopped) {
                state->end(link, "the peer reads too slowly");
            }
        });
    } else if (link->queued_bytes > settings.high_water && !std::exchange(link->pressed, true)) {
        asio::post(state_->io, [state = state_, link] { state->report_pressure(*link); });
    }
}

void ControlLinks::close(LinkId id, ByteView farewell) {
    const auto entry = state_->links.find(id);
    if (entry == state_->links.end()) {
        return;
    }
    const auto link = entry->second;
    state_->links.erase(entry);
    state_->release(*link);
    if (!link->up || farewell.empty()) {
        link->shut();
        return;
    }
    state_->enqueue(*link, farewell);
    link->closing = true;
    link->deadline.expires_after(state_->settings.farewell_timeout);
    link->deadline.async_wait([link](error_code error) {
        if (!error) {
            link->shut();
        }
    });
}

std::size_t ControlLinks::half_open() const {
    return state_->unfinished.size();
}

} // namespace weave::net
