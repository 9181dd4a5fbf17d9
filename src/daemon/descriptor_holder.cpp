// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/descriptor_holder.hpp"

#include "os/error.hpp"
#include "os/netns.hpp"
#include "os/program.hpp"
#include "wire/bytes_io.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <poll.h>
#include <unistd.h>

namespace weave::daemon {
namespace {

constexpr auto kStep = std::chrono::seconds(2);
constexpr auto kTryAgain = std::chrono::seconds(5);
constexpr std::size_t kMaxMessage = std::size_t{64} * 1024;
/** Raised with every change of the messages: a holder may be of an earlier version. */
constexpr std::uint32_t kFormat = 1;

enum class Word : std::uint8_t { hold = 1, take, release, held, nothing };

/** The first byte, and the format in which the rest is to be read. */
wire::ByteWriter begin(Word word) {
    wire::ByteWriter out;
    out.u8(static_cast<std::uint8_t>(word)).u32(kFormat);
    return out;
}

Bytes message(Word word) {
    return begin(word).take();
}

Bytes message(Word word, std::string_view fit, const LaneShape& shape = {}) {
    wire::ByteWriter out = begin(word);
    out.u16(static_cast<std::uint16_t>(fit.size())).bytes(as_bytes(fit));
    out.u8(shape.tap_tso ? 1 : 0).u8(shape.tap_uso ? 1 : 0);
    out.u32(shape.tap_queues).u32(shape.udp4).u32(shape.udp6);
    return out.take();
}

struct Message {
    Word word{};
    std::string fit;
    LaneShape shape;
};

/** nullopt: of another format, or none. */
std::optional<Message> parse(ByteView bytes) {
    wire::ByteReader in{bytes};
    Message out;
    out.word = static_cast<Word>(in.u8());
    if (in.u32() != kFormat || !in.ok()) {
        return std::nullopt;
    }
    if (in.remaining() == 0) {
        return out;
    }
    const ByteView fit = in.take(in.u16());
    out.fit.assign(fit.begin(), fit.end());
    out.shape.tap_tso = in.u8() != 0;
    out.shape.tap_uso = in.u8() != 0;
    out.shape.tap_queues = in.u32();
    out.shape.udp4 = in.u32();
    out.shape.udp6 = in.u32();
    return in.ok() && in.remaining() == 0 ? std::optional{std::move(out)} : std::nullopt;
}

/** The holder's process. */
class Keeper {
  public:
    explicit Keeper(int listening)
        : listening_(listening) {}

    /** One wait and what follows from it. False: it is over. */
    bool serve_once() {
        const bool alone = !owner_ || fds_.empty();
        const Duration patience = kLinger - (Clock::now() - since_);
        std::array<pollfd, 2> wait{
            {{listening_, POLLIN, 0}, {owner_ ? owner_->fd() : -1, POLLIN, 0}}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
        const int ready =
            left <= 0 && alone
                ? 0
                : ::poll(wait.data(), wait.size(), alone ? static_cast<int>(left) : -1);
        if (ready == 0) {
            return false;
        }
        if (wait[1].revents != 0 && !listen_to(*owner_)) {
            owner_.reset();
            since_ = Clock::now();
        }
        if (wait[0].revents != 0) {
            accept();
        }
        return !released_;
    }

  private:
    /** How long it waits for the next weaved. */
    static constexpr Duration kLinger = std::chrono::seconds(60);

    void accept() {
        try {
            os::FdChannel channel = os::FdChannel::accept(listening_);
            if (channel.peer_user() == ::geteuid() && listen_to(channel)) {
                owner_ = std::move(channel);
            }
        } catch (const std::system_error&) {
            // Whoever it was is gone.
        }
    }

    /** False: that connection is of no more use. */
    bool listen_to(os::FdChannel& channel) {
        try {
            auto got = channel.receive(Clock::now() + kStep, kMaxMessage);
            const auto said = got ? parse(got->bytes) : std::nullopt;
            if (!said) {
                return false;
            }
            return answer(channel, *said, std::move(got->fds));
        } catch (const std::system_error&) {
            return false;
        }
    }

    bool answer(os::FdChannel& channel, const Message& said, std::vector<os::UniqueFd> fds) {
        switch (said.word) {
        case Word::hold:
            fit_ = said.fit;
            shape_ = said.shape;
            fds_ = std::move(fds);
            return true;
        case Word::take:
            give(channel, said.fit);
            return true;
        case Word::release:
            fds_.clear(); // before the connection ends, by which the router knows
            released_ = true;
            return false;
        case Word::held:
        case Word::nothing:
            break;
        }
        return false;
    }

    /** A process that is killed lets go of one thing after the other. */
    bool owner_ended() {
        try {
            os::await_readable(owner_->fd(), Clock::now() + kStep);
        } catch (const std::system_error&) {
            return false;
        }
        return !listen_to(*owner_);
    }

    void give(os::FdChannel& channel, const std::string& fit) {
        if (owner_ && owner_ended()) {
            owner_.reset();
        }
        // A router that lives has them in use.
        if (owner_ || fit != fit_ || fds_.empty()) {
            channel.send(message(Word::nothing), {}, Clock::now() + kStep);
            return;
        }
        std::vector<int> raw;
        for (const os::UniqueFd& fd : fds_) {
            raw.push_back(fd.get());
        }
        channel.send(message(Word::held, fit_, shape_), raw, Clock::now() + kStep);
    }

    int listening_;
    std::optional<os::FdChannel> owner_;
    std::string fit_;
    LaneShape shape_;
    std::vector<os::UniqueFd> fds_;
    TimePoint since_ = Clock::now();
    bool released_ = false;
};

std::string text_of(const HandoverFit& fit) {
    // Descriptors of another network namespace would be of no use.
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}",
                       fit.state_dir,
                       fit.port,
                       fit.listen,
                       fit.bridge,
                       fit.tap,
                       fit.lanes,
                       os::netns_inode(os::current_netns().get()));
}

} // namespace

std::string descriptor_holder_path(const std::string& run_dir) {
    return run_dir + "/holder.sock";
}

int run_descriptor_holder(int listening) {
    Keeper keeper{listening};
    while (keeper.serve_once()) {
    }
    return 0;
}

DescriptorHolder::DescriptorHolder(std::string run_dir, const HandoverFit& fit)
    : run_dir_(std::move(run_dir))
    , fit_(text_of(fit))
    , tap_(fit.tap) {}

bool DescriptorHolder::connect() {
    try {
        channel_ = os::FdChannel::connect(descriptor_holder_path(run_dir_));
        if (channel_->peer_user() != ::geteuid()) {
            channel_.reset();
        }
    } catch (const std::system_error&) {
        channel_.reset(); // nobody is there
    }
    return channel_.has_value();
}

void DescriptorHolder::start() {
    // Made here, so that it can be connected to before the other process runs.
    const os::UniqueFd listening = os::FdChannel::listen(descriptor_holder_path(run_dir_));
    os::start_detached({"weaved", kHolderArgument, "--run-dir", run_dir_},
                       {.program = "/proc/self/exe", .standard_input = listening.get()});
}

std::optional<LaneDescriptors> DescriptorHolder::receive() {
    channel_->send(message(Word::take, fit_), {}, Clock::now() + kStep);
    auto got = channel_->receive(Clock::now() + kStep, kMaxMessage);
    const auto said = got ? parse(got->bytes) : std::nullopt;
    if (!said || said->word != Word::held) {
        return std::nullopt;
    }
    LaneDescriptors out = assemble(said->shape, got->fds);
    for (const os::UniqueFd& queue : out.tap.queues) {
        if (os::tap_name(queue.get()) != tap_) {
            return std::nullopt; // the interface was removed meanwhile
        }
    }
    return out;
}

std::optional<LaneDescriptors> DescriptorHolder::take() {
    if (!connect()) {
        return std::nullopt;
    }
    try {
        if (auto out = receive()) {
            log::info("event=descriptors_found queues={}", out->tap.queues.size());
            return out;
        }
    } catch (const std::system_error& failed) {
        log::warning("event=descriptors_not_taken reason={}", log::quoted(failed.what()));
    }
    // Sockets that stay open would get their share of what arrives.
    release();
    return std::nullopt;
}

void DescriptorHolder::give(const LaneDescriptors& open) {
    if (!connect()) {
        start();
        channel_ = os::FdChannel::connect(descriptor_holder_path(run_dir_));
    }
    channel_->send(
        message(Word::hold, fit_, shape_of(open)), raw_descriptors(open), Clock::now() + kStep);
}

void DescriptorHolder::hold(const LaneDescriptors& open) {
    pollfd ended{channel_ ? channel_->fd() : -1, POLLIN, 0};
    const TimePoint now = Clock::now();
    if ((channel_ && ::poll(&ended, 1, 0) == 0) || now < next_try_) {
        return;
    }
    next_try_ = now + kTryAgain;
    try {
        give(open);
    } catch (const std::system_error& failed) {
        channel_.reset();
        if (rate_.allow("hold", now)) {
            log::warning("event=descriptors_not_held reason={} effect=\"should weaved crash, what "
                         "arrives until the next start is lost\"",
                         log::quoted(failed.what()));
        }
    }
}

void DescriptorHolder::release() {
    if (!channel_) {
        return;
    }
    try {
        channel_->send(message(Word::release), {}, Clock::now() + kStep);
        // Its end closes the connection last, when all that it held is closed.
        std::ignore = channel_->receive(Clock::now() + kStep, kMaxMessage);
        ::unlink(descriptor_holder_path(run_dir_).c_str());
    } catch (const std::system_error& failed) {
        log::warning("event=holder_stays reason={}", log::quoted(failed.what()));
    }
    channel_.reset();
}

} // namespace weave::daemon
