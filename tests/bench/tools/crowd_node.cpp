// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/crowd_node.hpp"

#include "crypto/init.hpp"
#include "wire/packet.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace weave::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;

constexpr std::size_t kUnderlayHeaders = 28; // IPv4 and UDP
constexpr std::size_t kEthernetSize = 14;
constexpr std::uint8_t kUdp = 17;

udp::endpoint to_asio(const Endpoint& endpoint) {
    std::array<std::uint8_t, 4> octets{};
    std::copy_n(endpoint.address.bytes().begin(), octets.size(), octets.begin());
    return {asio::ip::address_v4(octets), endpoint.port};
}

void random(ByteSpan out) {
    crypto::random_bytes(out);
}

void add_record(Bytes& out, wire::RecordKind kind, std::uint8_t flags, ByteView body) {
    std::array<std::uint8_t, wire::kRecordHeaderSize> header{};
    wire::put_record_header(header.data(), kind, flags, static_cast<std::uint16_t>(body.size()));
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), body.begin(), body.end());
}

/** Turns an IPv4 datagram over UDP round; its checksums stay right. False for other frames. */
bool turn_round(Bytes& frame) {
    if (frame.size() < kEthernetSize + 28 || frame[12] != 8 || frame[13] != 0 ||
        frame[kEthernetSize + 9] != kUdp) {
        return false;
    }
    const auto at = [&](std::size_t offset) {
        return frame.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    const std::size_t transport = kEthernetSize + (frame[kEthernetSize] & 15U) * 4U;
    if (frame.size() < transport + 8) {
        return false;
    }
    std::swap_ranges(at(0), at(6), at(6));
    std::swap_ranges(at(kEthernetSize + 12), at(kEthernetSize + 16), at(kEthernetSize + 16));
    std::swap_ranges(at(transport), at(transport + 2), at(transport + 2));
    return true;
}

} // namespace

CrowdNode::CrowdNode(asio::io_context& io, const CrowdSettings& settings, unsigned number)
    : settings_(settings)
    , number_(number)
    , identity_(crypto::Identity::generate())
    , socket_(io,
              to_asio({settings.address, static_cast<std::uint16_t>(settings.first_port + number)}))
    , path_({}, random) {
    session::Local local;
    local.identity = &identity_;
    local.cluster_id = settings.cluster;
    local.secrets = settings.secrets;
    local.boot_epoch = kCrowdEpoch;
    sessions_.emplace(session::Settings{}, std::move(local), random);
    receive();
}

Endpoint CrowdNode::endpoint() const {
    return {settings_.address, static_cast<std::uint16_t>(settings_.first_port + number_)};
}

std::vector<wire::RecordPtr> CrowdNode::records() const {
    wire::Topology topology;
    topology.name = fmt::format("crowd-{}", number_);
    topology.endpoints = {endpoint()};
    topology.static_key = identity_.static_public();
    topology.software = "crowd";
    const auto high = static_cast<std::uint8_t>(number_ >> 8);
    const auto low = static_cast<std::uint8_t>(number_);
    const MacAddress mac{{2, 0xc0, 0, 0, high, low}};
    wire::Addresses addresses;
    addresses.macs = {mac};
    addresses.add({IpAddress::v4({10, 40, high, low}), 32}, mac);
    const auto sign = [this](ByteView message) { return identity_.sign(message); };
    std::vector<wire::RecordPtr> out;
    std::uint64_t version = 0;
    for (const auto& [kind, tlvs] :
         {std::pair{wire::kTopologyKind, wire::encode_topology(topology)},
          std::pair{wire::kAddressesKind, wire::encode_addresses(addresses)}}) {
        out.push_back(std::make_shared<wire::Record>(
            wire::sign_record(
                identity_.id(), identity_.sign_public(), {kCrowdEpoch, ++version}, kind, tlvs, sign)
                .value()));
    }
    return out;
}

void CrowdNode::meet(const NodeId& router,
                     const crypto::PublicKey& static_key,
                     std::uint64_t boot_epoch,
                     TimePoint now) {
    router_ = router;
    sessions_->set_peer(router, static_key, boot_epoch);
    path_.set_candidates({settings_.router}, now);
    run(now);
}

void CrowdNode::tick(TimePoint now) {
    path_.on_traffic(last_received_, last_sent_, now);
    path_.tick(now);
    sessions_->tick(now);
    run(now);
}

void CrowdNode::receive() {
    socket_.async_receive_from(
        asio::buffer(buffer_), from_, [this](const error_code& error, std::size_t size) {
            if (error == asio::error::operation_aborted) {
                return;
            }
            if (!error && from_.address().is_v4()) {
                const auto octets = from_.address().to_v4().to_bytes();
                on_datagram(ByteSpan{buffer_}.first(size), {IpAddress::v4(octets), from_.port()});
            }
            receive();
        });
}

void CrowdNode::on_datagram(ByteSpan datagram, const Endpoint& from) {
    const TimePoint now = Clock::now();
    if (wire::is_data(datagram)) {
        open(datagram, now);
    } else {
        session::Origin origin;
        origin.endpoint = from;
        sessions_->on_datagram(datagram, origin, now);
    }
    run(now);
}

void CrowdNode::open(ByteSpan datagram, TimePoint now) {
    const std::uint32_t index = wire::data_receiver(datagram);
    const auto entry = receiving_.find(wire::session_of(index));
    auto* receiver =
        entry == receiving_.end() ? nullptr : entry->second->receiver(wire::lane_of(index));
    if (receiver == nullptr) {
        return;
    }
    const ByteSpan sealed = datagram.subspan(wire::kDataHeaderSize);
    crypto::OpenItem item;
    item.in = sealed.data();
    item.len = static_cast<std::uint32_t>(sealed.size());
    item.out = sealed.data();
    item.counter = wire::data_counter(datagram);
    item.ad = datagram.data();
    item.ad_len = wire::kDataHeaderSize;
    receiver->key.open_batch({&item, 1});
    if (!item.ok) {
        return;
    }
    last_received_ = now;
    if (entry->second->confirm()) {
        sessions_->on_authenticated(entry->second->local_index(), now);
        run(now);
    }
    take(sealed.first(sealed.size() - wire::kTagSize), datagram.size() + kUnderlayHeaders, now);
}

void CrowdNode::take(ByteSpan plaintext, std::size_t outer_size, TimePoint now) {
    wire::RecordWalker walker{plaintext};
    wire::RecordSpan record;
    while (walker.next(record)) {
        const auto kind = static_cast<wire::RecordKind>(record.kind);
        if (kind == wire::RecordKind::frame) {
            answer_frame(record);
        } else if (kind == wire::RecordKind::probe && record.body.size() >= wire::kProbeBodySize) {
            Bytes body(record.body.begin(), record.body.begin() + wire::kProbeBodySize);
            body.resize(wire::kProbeAckBodySize);
            wire::store_u16(body.data() + wire::kProbeBodySize,
                            static_cast<std::uint16_t>(outer_size));
            Bytes plain;
            add_record(plain, wire::RecordKind::probe_ack, 0, body);
            seal(plain);
        } else if (kind == wire::RecordKind::probe_ack &&
                   record.body.size() >= wire::kProbeAckBodySize) {
            path_.on_probe_ack(wire::load_u64(record.body.data()),
                               settings_.router,
                               wire::load_u16(record.body.data() + wire::kProbeBodySize),
                               now);
        }
    }
}

void CrowdNode::answer_frame(const wire::RecordSpan& record) {
    Bytes frame(record.body.begin(), record.body.end());
    if (turn_round(frame)) {
        Bytes plain;
        add_record(plain, wire::RecordKind::frame, record.flags, frame);
        seal(plain);
        last_sent_ = Clock::now();
    }
}

void CrowdNode::seal(const Bytes& plaintext) {
    if (!sending_) {
        return;
    }
    Bytes datagram(wire::kDataOverhead + plaintext.size());
    wire::put_data_header(datagram.data(), sending_->remote_index(), 0);
    crypto::SealItem item;
    item.in = plaintext.data();
    item.len = static_cast<std::uint32_t>(plaintext.size());
    item.out = datagram.data() + wire::kDataHeaderSize;
    item.counter_field = datagram.data() + wire::kDataCounterOffset;
    item.ad = datagram.data();
    item.ad_len = wire::kDataHeaderSize;
    const TimePoint now = Clock::now();
    if (!sending_->seal(0, {&item, 1}, now)) {
        send(datagram, settings_.router);
    }
}

void CrowdNode::say_hello() {
    Bytes plain;
    add_record(plain, wire::RecordKind::padding, 0, {});
    seal(plain);
}

void CrowdNode::probe(const session::SendProbe& probe) {
    Bytes plain;
    std::array<std::uint8_t, wire::kProbeBodySize> id{};
    wire::store_u64(id.data(), probe.id);
    add_record(plain, wire::RecordKind::probe, 0, id);
    const std::size_t bare =
        kUnderlayHeaders + wire::kDataOverhead + plain.size() + wire::kRecordHeaderSize;
    if (probe.datagram_size > bare) {
        add_record(plain, wire::RecordKind::padding, 0, Bytes(probe.datagram_size - bare));
    }
    seal(plain);
}

/** What the kernel does not take is lost, as on any underlay. */
void CrowdNode::send(ByteView datagram, const Endpoint& to) {
    error_code ignored;
    socket_.send_to(asio::buffer(datagram.data(), datagram.size()), to_asio(to), 0, ignored);
}

void CrowdNode::run(TimePoint now) {
    for (session::Action& action : sessions_->take_actions()) {
        if (auto* to = std::get_if<session::SendTo>(&action)) {
            send(to->datagram, to->reply_to ? to->reply_to->endpoint : settings_.router);
        } else if (auto* reply = std::get_if<session::Reply>(&action)) {
            send(reply->datagram, reply->to.endpoint);
        } else if (auto* install = std::get_if<session::Install>(&action)) {
            perform(*install, now);
        } else if (auto* promote = std::get_if<session::Promote>(&action)) {
            perform(*promote, now);
        } else if (auto* retire = std::get_if<session::Retire>(&action)) {
            perform(*retire);
        } else if (std::holds_alternative<session::SessionDown>(action)) {
            sending_.reset();
        }
    }
    for (const session::PathAction& action : path_.take_actions()) {
        if (const auto* wanted = std::get_if<session::SendProbe>(&action)) {
            probe(*wanted);
        }
    }
}

void CrowdNode::perform(session::Install& install, TimePoint now) {
    auto session = std::make_shared<dataplane::DataSession>(
        0, std::move(*install.keys), crypto::Provider::sodium);
    session->set_lifetime({install.seal_until, install.open_until});
    receiving_[session->local_index()] = session;
    if (install.send_now) {
        start_sending(std::move(session), now);
    }
}

void CrowdNode::perform(const session::Promote& promote, TimePoint now) {
    const auto entry = receiving_.find(promote.local_index);
    if (entry != receiving_.end()) {
        start_sending(entry->second, now);
    }
}

void CrowdNode::perform(const session::Retire& retire) {
    if (sending_ && sending_->local_index() == retire.local_index) {
        sending_.reset();
    }
    receiving_.erase(retire.local_index);
}

void CrowdNode::start_sending(SessionPtr session, TimePoint now) {
    sending_ = std::move(session);
    path_.on_session(now);
    say_hello();
}

} // namespace weave::bench
