// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lane.hpp"

#include "dataplane/egress.hpp"
#include "dataplane/ingress.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include <sys/epoll.h>

namespace weave::dataplane {
namespace {

constexpr std::uint32_t kTapEvent = 0;
constexpr std::uint32_t kUdp4Event = 1;
constexpr std::uint32_t kUdp6Event = 2;
constexpr std::uint32_t kWakeEvent = 3;
/** And those behind it: one of the fast ports each. */
constexpr std::uint32_t kFirstFastEvent = 4;
/** Of an injected record: pad_to and length are 16 bits. */
constexpr std::size_t kLargestBody = 65535;

int milliseconds(Duration timeout) {
    return timeout < Duration::zero()
               ? -1
               : static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
}

} // namespace

class Lane::Impl {
  public:
    explicit Impl(const LaneConfig& config);

    void run();
    void run_once(Duration timeout);

    void stop() {
        stopped_.store(true);
        wake_.signal();
    }

    LaneConfig config_;
    LaneCounters counters_;
    void add_fast_port(std::unique_ptr<FastPort> port);
    void remove_fast_ports(std::uint8_t port);
    [[nodiscard]] bool fast_port_gone(std::uint8_t port) const;

    os::EventFd wake_;
    Punter punter_;
    InjectionRing injections_;

    [[nodiscard]] bool tap_gone() const { return tap_gone_.load(); }

  private:
    void watch(int fd, std::uint32_t event);
    void serve_tap(std::uint32_t ready);
    void receive(const os::UdpSocket& socket);
    bool receive_fast(FastPort& port);
    void take_what_came_fast();
    void begin_batch();
    void end_batch();
    void handle_injections();
    void inject(const Injection& injection);
    void send_record(const Injection& injection);
    void seal_padded(const Route& route, const Injection& injection, std::size_t pad_to);
    void send_relayed(const Injection& injection);
    void write_tap(const Injection& injection);

    std::atomic<bool> stopped_{false};
    std::atomic<bool> tap_gone_{false};
    os::UniqueFd epoll_;
    os::ReceiveSlots slots_;
    /** A record under construction; made as large as it gets. */
    Bytes record_;
    const Snapshot* snapshot_ = nullptr;
    TapPort tap_;
    Outbox outbox_;
    Merger merger_;
    Egress egress_;
    Ingress ingress_;
    /** By the event's number; a place that is free again is used again. */
    std::vector<std::unique_ptr<FastPort>> fast_;
};

Lane::Impl::Impl(const LaneConfig& config)
    : config_(config)
    , punter_(config.ring_slots, config.control, counters_)
    , injections_(config.ring_slots)
    , epoll_(::epoll_create1(EPOLL_CLOEXEC))
    , slots_(8)
    , record_(wire::kRecordHeaderSize + kLargestBody)
    , tap_(config.tap, counters_, config.superframes)
    , outbox_({config.index, config.udp4, config.udp6}, counters_, punter_)
    , merger_(tap_, config.tap_uso)
    , egress_(config.index, tap_, outbox_, punter_, counters_)
    , ingress_({config.index, config.handoff}, merger_, outbox_, punter_, counters_) {
    if (!epoll_) {
        throw std::system_error(
            errno, std::generic_category(), "cannot create an epoll descriptor");
    }
    watch(config.tap, kTapEvent);
    watch(config.udp4 != nullptr ? config.udp4->fd() : -1, kUdp4Event);
    watch(config.udp6 != nullptr ? config.udp6->fd() : -1, kUdp6Event);
    watch(wake_.fd(), kWakeEvent);
    if (config.handoff != nullptr) {
        config.handoff->attach(config.index, &wake_);
    }
}

void Lane::Impl::watch(int fd, std::uint32_t event) {
    if (fd < 0) {
        return;
    }
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.u32 = event;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &interest) != 0) {
        throw std::system_error(errno, std::generic_category(), "cannot watch a lane's descriptor");
    }
}

void Lane::Impl::run() {
    while (!stopped_.load(std::memory_order_relaxed)) {
        run_once(Duration{-1});
    }
    run_once(Duration{0}); // what was asked for before the end, such as a goodbye
    take_what_came_fast();
    stopped_.store(false);
}

void Lane::Impl::run_once(Duration timeout) {
    std::array<epoll_event, kFirstFastEvent + kMaxFastPorts> events;
    const int ready = ::epoll_wait(
        epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds(timeout));
    if (ready <= 0) {
        return;
    }
    begin_batch();
    for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        switch (event.data.u32) {
        case kTapEvent:
            serve_tap(event.events);
            break;
        case kUdp4Event:
            receive(*config_.udp4);
            break;
        case kUdp6Event:
            receive(*config_.udp6);
            break;
        case kWakeEvent:
            wake_.drain();
            if (ingress_.take_handoffs()) {
                wake_.signal();
            }
            handle_injections();
            break;
        default:
            receive_fast(*fast_[event.data.u32 - kFirstFastEvent]);
            break;
        }
    }
    end_batch();
}

void Lane::Impl::begin_batch() {
    snapshot_ = &config_.cell->enter(config_.index);
    const TimePoint now = Clock::now();
    tap_.begin(now);
    merger_.begin(snapshot_->settings->join_frames);
    outbox_.begin(*snapshot_->settings, now);
    egress_.begin(*snapshot_, now);
    ingress_.begin(*snapshot_, now);
}

void Lane::Impl::end_batch() {
    outbox_.flush();
    config_.cell->leave(config_.index);
    snapshot_ = nullptr;
}

void Lane::Impl::serve_tap(std::uint32_t ready) {
    egress_.drain();
    if ((ready & (EPOLLERR | EPOLLHUP)) == 0 && !tap_.gone()) {
        return;
    }
    // Left in place it would be ready for ever.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, config_.tap, nullptr);
    tap_gone_.store(true);
    if (config_.control != nullptr) {
        config_.control->signal();
    }
}

void Lane::Impl::receive(const os::UdpSocket& socket) {
    for (const os::Datagram& datagram : socket.receive(slots_).datagrams) {
        ingress_.handle(datagram);
    }
    ingress_.finish();
}

bool Lane::Impl::receive_fast(FastPort& port) {
    const auto frames = port.socket().receive();
    for (const ByteSpan& frame : frames) {
        if (const auto datagram = read_underlay_frame(frame)) {
            counters_.fast_received.add();
            ingress_.handle(*datagram);
        } else {
            counters_.drop(Drop::malformed_datagram);
        }
    }
    ingress_.finish();
    port.socket().release();
    return !frames.empty();
}

/** What is in the rings of a socket that may be closed next is in nobody else's. */
void Lane::Impl::take_what_came_fast() {
    for (const auto& port : fast_) {
        // No more than fits one: whoever goes on sending is not waited for.
        for (std::size_t taken = 0; port && taken < fastpath::Umem::kReceiveFrames;
             taken += fastpath::Socket::kBatch) {
            begin_batch();
            const bool some = receive_fast(*port);
            end_batch();
            if (!some) {
                break;
            }
        }
    }
}

void Lane::Impl::add_fast_port(std::unique_ptr<FastPort> port) {
    auto place = std::find(fast_.begin(), fast_.end(), nullptr);
    if (place == fast_.end()) {
        place = fast_.insert(fast_.end(), nullptr);
    }
    watch(port->socket().fd(), kFirstFastEvent + static_cast<std::uint32_t>(place - fast_.begin()));
    outbox_.set_fast_port(port->port(), port.get());
    *place = std::move(port);
}

void Lane::Impl::remove_fast_ports(std::uint8_t port) {
    outbox_.set_fast_port(port, nullptr);
    for (auto& each : fast_) {
        if (each && each->port() == port) {
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, each->socket().fd(), nullptr);
            each.reset();
        }
    }
}

bool Lane::Impl::fast_port_gone(std::uint8_t port) const {
    return std::any_of(fast_.begin(), fast_.end(), [&](const auto& each) {
        return each && each->port() == port && each->gone();
    });
}

void Lane::Impl::handle_injections() {
    while (const Injection* injection = injections_.front()) {
        inject(*injection);
        injections_.release();
    }
}

void Lane::Impl::inject(const Injection& injection) {
    switch (injection.kind) {
    case Injection::Kind::train:
    case Injection::Kind::record:
        send_record(injection);
        break;
    case Injection::Kind::datagram:
        if (injection.endpoint) {
            outbox_.send_plain(
                *injection.endpoint, injection.source.value_or(IpAddress{}), injection.view());
        }
        break;
    case Injection::Kind::relayed:
        send_relayed(injection);
        break;
    case Injection::Kind::tap_frame:
        write_tap(injection);
        break;
    case Injection::Kind::flush_pending:
        egress_.flush_pending(injection.peer);
        break;
    case Injection::Kind::drop_stale:
        egress_.drop_stale(injection.peer);
        break;
    case Injection::Kind::drop_pending:
        egress_.drop_pending(injection.peer);
        break;
    }
}

void Lane::Impl::send_record(const Injection& injection) {
    const PeerTable& peers = *snapshot_->peers;
    const PeerEntry* peer = peers.peer(injection.peer);
    if (peer == nullptr || !peer->session) {
        counters_.drop(Drop::no_session);
        return;
    }
    Route route;
    std::optional<Drop> drop;
    if (injection.endpoint || injection.via != kNoPeer) {
        route.index = injection.peer;
        route.peer = peer;
        route.session = peer->session.get();
        if (injection.endpoint) {
            route.to = *injection.endpoint;
            route.source = injection.source.value_or(IpAddress{});
            take_fast_hop(*peer, route);
        } else {
            drop = route_through(peers, injection.via, route);
        }
    } else {
        drop = find_route(peers, injection.peer, route);
    }
    if (drop) {
        counters_.drop(*drop);
        return;
    }
    if (injection.kind == Injection::Kind::record) {
        seal_padded(route, injection, injection.pad_to);
        return;
    }
    // Nothing else may be in it, and the route does not tell of trains that do not arrive. The
    // question is about the kernel's: nobody else sends any.
    route.fast = nullptr;
    outbox_.flush();
    Injection each = injection;
    for (unsigned i = 0; i < injection.count; ++i) {
        wire::store_u64(each.bytes.data(), wire::load_u64(injection.bytes.data()) + i);
        seal_padded(
            route, each, i + 1 == injection.count ? injection.pad_last_to : injection.pad_to);
    }
    outbox_.flush();
}

void Lane::Impl::seal_padded(const Route& route, const Injection& injection, std::size_t pad_to) {
    const std::size_t overhead = underlay_overhead(route.to.address) + wire::kDataOverhead +
                                 wire::kRecordHeaderSize +
                                 (route.hop != nullptr ? wire::kRelayOverhead : 0);
    const std::size_t padded = pad_to > overhead ? pad_to - overhead : 0;
    const std::size_t body = std::max<std::size_t>(injection.length, padded);
    record_.assign(wire::kRecordHeaderSize + body, 0);
    wire::put_record_header(record_.data(), injection.record, 0, static_cast<std::uint16_t>(body));
    std::copy_n(
        injection.bytes.begin(), injection.length, record_.begin() + wire::kRecordHeaderSize);
    outbox_.seal(route, record_);
}

void Lane::Impl::send_relayed(const Injection& injection) {
    const PeerEntry* peer = snapshot_->peers->peer(injection.peer);
    Route route;
    const auto drop = peer == nullptr ? std::optional{Drop::no_route}
                                      : route_through(*snapshot_->peers, injection.via, route);
    if (drop) {
        counters_.drop(*drop);
        return;
    }
    const Settings& settings = *snapshot_->settings;
    outbox_.relay(route, settings.relay_ttl, peer->relay, settings.own_relay, injection.view());
}

void Lane::Impl::write_tap(const Injection& injection) {
    const ByteView frame = injection.view();
    const iovec whole{const_cast<std::uint8_t*>(frame.data()), frame.size()};
    tap_.write(VnetHeader{}, {&whole, 1}, {&frame, 1});
}

Lane::Lane(const LaneConfig& config)
    : impl_(std::make_unique<Impl>(config)) {}

Lane::~Lane() = default;

void Lane::run() {
    impl_->run();
}

void Lane::run_once(Duration timeout) {
    impl_->run_once(timeout);
}

void Lane::stop() {
    impl_->stop();
}

void Lane::wake() {
    impl_->wake_.signal();
}

PuntRing& Lane::punts() {
    return impl_->punter_.ring();
}

InjectionRing& Lane::injections() {
    return impl_->injections_;
}

void Lane::add_fast_port(std::unique_ptr<FastPort> port) {
    impl_->add_fast_port(std::move(port));
}

void Lane::remove_fast_ports(std::uint8_t port) {
    impl_->remove_fast_ports(port);
}

bool Lane::fast_port_gone(std::uint8_t port) const {
    return impl_->fast_port_gone(port);
}

bool Lane::tap_gone() const {
    return impl_->tap_gone();
}

const LaneCounters& Lane::counters() const {
    return impl_->counters_;
}

} // namespace weave::dataplane
