// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/takeover.hpp"

#include "base/version.hpp"
#include "crypto/secret.hpp"
#include "os/error.hpp"

#include <filesystem>

#include <unistd.h>

namespace weave::daemon {
namespace {

namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;

constexpr auto kKnock = std::chrono::seconds(2);    // from connecting to a request
constexpr auto kPrepare = std::chrono::seconds(20); // from the state to "ready"
constexpr auto kStep = std::chrono::seconds(3);     // what takes no work
constexpr std::size_t kMaxRequest = std::size_t{64} * 1024;

/** The first byte of each message. */
enum class Step : std::uint8_t { request = 1, refused, state, ready, progress, done, farewell };

Bytes message(Step step, ByteView body = {}) {
    Bytes out;
    out.reserve(body.size() + 1);
    out.push_back(static_cast<std::uint8_t>(step));
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

bool is(const os::FdMessage& message, Step step) {
    return !message.bytes.empty() && message.bytes.front() == static_cast<std::uint8_t>(step);
}

ByteView body_of(const os::FdMessage& message) {
    return ByteView{message.bytes}.subspan(1);
}

/** Of bytes that hold keys. */
void send_secret(os::FdChannel& channel, Step step, Bytes secret, std::span<const int> fds) {
    Bytes whole = message(step, secret);
    crypto::wipe(secret);
    try {
        channel.send(whole, fds, Clock::now() + kStep);
    } catch (...) {
        crypto::wipe(whole);
        throw;
    }
    crypto::wipe(whole);
}

bool expect(os::FdChannel& channel, Step step, Duration patience) {
    const auto answer = channel.receive(Clock::now() + patience, kMaxRequest);
    return answer && is(*answer, step);
}

} // namespace

HandoverFit handover_fit(const Options& options, const Cluster& cluster, unsigned lanes) {
    std::error_code ignored;
    HandoverFit out;
    out.state_dir = std::filesystem::weakly_canonical(options.state_dir, ignored).string();
    out.cluster = to_hex(cluster.id);
    out.port = std::to_string(options.port);
    out.listen = fmt::format("{}", fmt::join(options.listen, ","));
    out.bridge = options.bridge;
    out.tap = options.tap;
    out.lanes =
        fmt::format("{}{}", lanes, options.no_sparse_lanes ? " with --no-sparse-lanes" : "");
    out.clear = options.clear ? "on" : "off";
    return out;
}

std::string takeover_path(const std::string& run_dir) {
    return run_dir + "/takeover.sock";
}

TakeoverDoor::TakeoverDoor(asio::io_context& io, const std::string& path, TakeoverCalls calls)
    : acceptor_(io)
    , patience_(io)
    , path_(path)
    , calls_(std::move(calls)) {
    acceptor_.assign(Protocol(), os::FdChannel::listen(path).release());
    accept();
}

TakeoverDoor::~TakeoverDoor() {
    ::unlink(path_.c_str());
}

void TakeoverDoor::accept() {
    acceptor_.async_accept([this](boost::system::error_code error, Protocol::socket socket) {
        if (error == asio::error::operation_aborted) {
            return;
        }
        if (error) {
            patience_.expires_after(kKnock);
            patience_.async_wait([this](boost::system::error_code stopped) {
                if (!stopped) {
                    accept();
                }
            });
            return;
        }
        await_request(std::move(socket));
    });
}

/** Who connects and says nothing is let go, and keeps nobody waiting but those behind it. */
void TakeoverDoor::await_request(Protocol::socket socket) {
    auto kept = std::make_shared<Protocol::socket>(std::move(socket));
    patience_.expires_after(kKnock);
    patience_.async_wait([kept](boost::system::error_code stopped) {
        if (!stopped) {
            boost::system::error_code ignored;
            kept->cancel(ignored);
        }
    });
    kept->async_wait(Protocol::socket::wait_read, [this, kept](boost::system::error_code error) {
        patience_.cancel();
        if (!error) {
            serve(os::FdChannel{os::UniqueFd{kept->release()}});
        } else if (error == asio::error::operation_aborted && !acceptor_.is_open()) {
            return;
        }
        accept();
    });
}

void TakeoverDoor::serve(os::FdChannel channel) {
    try {
        converse(channel);
    } catch (const std::exception& failed) {
        ++counted_["takeover_failed"];
        if (rate_.allow("takeover", Clock::now())) {
            log::warning("event=takeover_failed reason={}", log::quoted(failed.what()));
        }
    }
}

void TakeoverDoor::refuse(os::FdChannel& channel, const char* name, const std::string& sentence) {
    ++counted_[name];
    if (rate_.allow(name, Clock::now())) {
        log::warning("event={} reason={}", name, log::quoted(sentence));
    }
    channel.send(message(Step::refused, as_bytes(sentence)), {}, Clock::now() + kStep);
}

void TakeoverDoor::converse(os::FdChannel& channel) {
    if (const uid_t user = channel.peer_user(); user != ::geteuid()) {
        refuse(channel,
               "takeover_of_other_user",
               fmt::format("user {} may not take over from user {}", user, ::geteuid()));
        return;
    }
    const auto knock = channel.receive(Clock::now() + kStep, kMaxRequest);
    if (!knock) {
        return;
    }
    const auto request = is(*knock, Step::request)
                             ? decode_request(body_of(*knock))
                             : Result<HandoverRequest>{make_error_code(std::errc::bad_message)};
    if (!request) {
        const bool other = request.error() == std::errc::protocol_not_supported;
        refuse(channel,
               other ? "takeover_of_other_format" : "takeover_malformed",
               fmt::format("the weaved that runs ({}) does not hand over to this one: stop it and "
                           "start the new one",
                           WEAVE_VERSION));
        return;
    }
    if (const std::string why = calls_.refuse(request->fit); !why.empty()) {
        refuse(channel, "takeover_refused", why);
        return;
    }
    if (rate_.allow("asked", Clock::now())) {
        log::info("event=takeover_asked successor={}", log::quoted(request->software));
    }
    send_secret(channel, Step::state, encode_handover(calls_.describe()), calls_.descriptors());
    if (!expect(channel, Step::ready, kPrepare)) {
        os::throw_sentence(ECANCELED, "the successor gave up before it was ready");
    }
    part(channel);
}

/** From here on the keys have one owner: the successor, or nobody. */
void TakeoverDoor::part(os::FdChannel& channel) {
    try {
        send_secret(channel, Step::progress, encode_progress(calls_.hand_over()), {});
        if (!expect(channel, Step::done, kStep)) {
            os::throw_sentence(ECANCELED, "the successor gave up when it had everything");
        }
        channel.send(message(Step::farewell), {}, Clock::now() + kStep);
    } catch (...) {
        calls_.go_on();
        throw;
    }
    calls_.leave(channel.peer_pid());
}

Predecessor::Predecessor(const std::string& run_dir, const HandoverFit& fit)
    : channel_([&] {
        try {
            return os::FdChannel::connect(takeover_path(run_dir));
        } catch (const std::system_error&) {
            throw ConfigError(fmt::format("no weaved that could be taken over runs with --run-dir "
                                          "{}: start this one without --takeover",
                                          run_dir));
        }
    }()) {
    try {
        process_ = channel_.peer_process();
        channel_.send(
            message(Step::request, encode_request({WEAVE_VERSION, fit})), {}, Clock::now() + kStep);
        take(receive(kPrepare));
    } catch (const std::system_error& failed) {
        throw ConfigError(
            fmt::format("the weaved that runs hands nothing over: {}", failed.what()));
    }
}

os::FdMessage Predecessor::receive(Duration patience) {
    auto answer = channel_.receive(Clock::now() + patience);
    if (!answer) {
        os::throw_sentence(ECONNRESET, "it ended the conversation");
    }
    if (is(*answer, Step::refused)) {
        const ByteView text = body_of(*answer);
        throw ConfigError(std::string(text.begin(), text.end()));
    }
    return std::move(*answer);
}

void Predecessor::take(os::FdMessage message) {
    auto handover = is(message, Step::state)
                        ? decode_handover(body_of(message))
                        : Result<Handover>{make_error_code(std::errc::bad_message)};
    crypto::wipe(message.bytes);
    if (!handover) {
        os::throw_sentence(EPROTO, "what it says is of another version: stop it and start anew");
    }
    handover_ = std::move(*handover);
    if (message.fds.empty()) {
        os::throw_sentence(EPROTO, "no descriptors came with its state");
    }
    lock_ = std::move(message.fds.front());
    descriptors_ = assemble(handover_.lanes, std::span{message.fds}.subspan(1));
}

HandoverProgress Predecessor::stop() {
    channel_.send(message(Step::ready), {}, Clock::now() + kStep);
    const os::FdMessage answer = receive(kStep);
    auto progress = is(answer, Step::progress)
                        ? decode_progress(body_of(answer))
                        : Result<HandoverProgress>{make_error_code(std::errc::bad_message)};
    if (!progress) {
        throw ConfigError("the weaved that runs did not say how far it came: it goes on");
    }
    return std::move(*progress);
}

void Predecessor::dismiss() {
    channel_.send(message(Step::done), {}, Clock::now() + kStep);
    if (!is(receive(kStep), Step::farewell)) {
        throw ConfigError("the weaved that runs did not leave: it goes on");
    }
}

void Predecessor::await_end() {
    try {
        // Not the end of the conversation: descriptors are closed one after the other.
        os::await_readable(process_.get(), Clock::now() + kStep);
    } catch (const std::system_error& failed) {
        log::warning("event=predecessor_stays reason={}", log::quoted(failed.what()));
    }
}

} // namespace weave::daemon
