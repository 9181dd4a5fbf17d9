// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// One of each thing that crosses the wire, made with fixed keys, as hexadecimal text in a file: a
// change of the format is a change in the diff. WEAVE_ACCEPT=1 writes the file anew; such a run
// fails, so that none passes by accident.
#include "crypto/aead.hpp"
#include "crypto/identity.hpp"
#include "crypto/init.hpp"
#include "crypto/transport_keys.hpp"
#include "session/flood_guard.hpp"
#include "wire/allocation.hpp"
#include "wire/bytes_io.hpp"
#include "wire/control.hpp"
#include "wire/datagram.hpp"
#include "wire/link_message.hpp"
#include "wire/packet.hpp"
#include "wire/record.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

using namespace weave;

namespace {

crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

const crypto::Identity& initiator() {
    static const crypto::Identity identity = crypto::Identity::from_seed(key_of(1));
    return identity;
}

const crypto::Identity& responder() {
    static const crypto::Identity identity = crypto::Identity::from_seed(key_of(2));
    return identity;
}

void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

/** Lines of "name hex". */
class Listing {
  public:
    void add(const std::string& name, ByteView bytes) {
        text_ += name + ' ' + to_hex(bytes) + '\n';
    }

    void check() const {
        const std::string path = std::string(WEAVE_GOLDEN_DIR) + "/bytes.txt";
        if (std::getenv("WEAVE_ACCEPT") != nullptr) {
            std::ofstream(path, std::ios::binary) << text_;
            FAIL_CHECK("written anew: ", path);
            return;
        }
        std::ifstream file(path, std::ios::binary);
        const std::string expected{std::istreambuf_iterator<char>(file), {}};
        INFO("golden file ", path, " (WEAVE_ACCEPT=1 writes it anew)");
        CHECK(text_ == expected);
    }

  private:
    std::string text_;
};

wire::ClearHeader header(wire::DatagramType type, std::uint32_t index) {
    wire::ClearHeader out;
    out.type = type;
    out.suite = static_cast<std::uint8_t>(crypto::Suite::chacha20poly1305);
    out.sender_index = index;
    out.secret_id = 7;
    out.cluster_id.fill(0xc1);
    return out;
}

void append_macs(Bytes& datagram, const crypto::Identity& receiver) {
    append(datagram, crypto::keyed_mac16(session::mac1_key(receiver.static_public()), datagram));
    append(datagram, crypto::Mac16{});
}

/** A whole initiation and its response, and a first record under the keys that come of them. */
void add_handshake(Listing& listing) {
    const auto psk = crypto::derive_key(key_of(0x51).view(), 1, "clstrpsk");
    Bytes init = header(wire::DatagramType::init, 0x11223340).encode();
    const auto side = [&](bool first) {
        const crypto::Identity& own = first ? initiator() : responder();
        return crypto::Handshake(crypto::Pattern::ik_psk2,
                                 crypto::Suite::chacha20poly1305,
                                 first,
                                 ByteView{init}.first(wire::ClearHeader::kSize),
                                 own.static_pair().clone(),
                                 first ? std::optional(responder().static_public()) : std::nullopt,
                                 psk.clone(),
                                 crypto::KeyPair::from_secret(key_of(first ? 0x21 : 0x22)));
    };
    auto left = side(true);
    auto right = side(false);
    append(init, *left.write(wire::InitPayload{5, 9, 2, 0x10}.encode()));
    append_macs(init, responder());
    listing.add("initiation", init);
    const auto parsed = wire::InitView::parse(init);
    REQUIRE(parsed.has_value());
    REQUIRE(right.read(parsed->noise).has_value());

    Bytes answer = header(wire::DatagramType::response, 0x55667780).encode();
    std::array<std::uint8_t, 4> receiver{};
    wire::store_u32(receiver.data(), 0x11223340);
    append(answer, receiver);
    append(answer, *right.write(wire::ResponsePayload{3, 0x20, 0x55667780}.encode()));
    append_macs(answer, initiator());
    listing.add("response", answer);
    REQUIRE(wire::ResponseView::parse(answer).has_value());
    REQUIRE(left.read(wire::ResponseView::parse(answer)->noise).has_value());

    const auto keys = crypto::make_transport_keys(
        left.split(), true, crypto::Suite::chacha20poly1305, 2, 3, 0x11223340, 0x55667780);
    crypto::SealingKey sealing(
        crypto::Suite::chacha20poly1305, crypto::Provider::sodium, keys.send[1]);
    std::array<std::uint8_t, wire::kRecordHeaderSize + 4> plain{1, 2, 3, 4, 5, 6, 7, 8};
    wire::put_record_header(plain.data(), wire::RecordKind::frame, wire::kNeedsChecksum, 4);
    Bytes record(wire::kDataOverhead + plain.size());
    wire::put_data_header(record.data(), keys.remote_index, 1);
    crypto::SealItem item;
    item.in = plain.data();
    item.len = plain.size();
    item.out = record.data() + wire::kDataHeaderSize;
    item.counter_field = record.data() + wire::kDataCounterOffset;
    item.ad = record.data();
    item.ad_len = wire::kDataHeaderSize;
    REQUIRE(sealing.seal_batch({&item, 1}));
    listing.add("record-plain", plain);
    listing.add("record-sealed", record);
}

void add_small_datagrams(Listing& listing) {
    const crypto::PublicKey& key = responder().static_public();
    listing.add("mac1-key", session::mac1_key(key));
    listing.add("cookie-key", session::cookie_key(key));
    wire::CookieReply cookie;
    cookie.receiver_index = 0x11223340;
    cookie.nonce.fill(0x24);
    const crypto::Mac16 value = crypto::keyed_mac16(key_of(0x33).view(), as_bytes("source"));
    const Bytes sealed = crypto::xchacha_seal(session::cookie_key(key), cookie.nonce, {}, value);
    std::copy_n(sealed.begin(), cookie.sealed.size(), cookie.sealed.begin());
    listing.add("cookie", cookie.encode());
    listing.add("refusal", wire::Refusal{wire::RefusalCode::suite, 0x11223340}.encode());
    std::array<std::uint8_t, wire::kRelayHeaderSize> relay{};
    wire::put_relay_header(relay.data(),
                           0x55667780,
                           1,
                           wire::kRelayTtl,
                           relay_address(responder().id()),
                           relay_address(initiator().id()));
    listing.add("relay-header", relay);
}

void add_control(Listing& listing) {
    wire::ControlIdentity identity;
    identity.sign_public = initiator().sign_public();
    identity.vouch = initiator().static_vouch();
    identity.boot_epoch = 5;
    identity.nonce = 0x0102030405060708;
    identity.name = "node-1";
    identity.features = 0x10;
    identity.udp_port = 6783;
    listing.add("control-header", header(wire::DatagramType::control_init, 0).encode());
    listing.add("control-identity", identity.encode());
    listing.add("control-refusal", wire::encode_control_refusal(wire::RefusalCode::cluster));
    Bytes framed;
    wire::append_control_message(framed, as_bytes("body"));
    listing.add("control-message", framed);
}

wire::Record signed_record(std::uint16_t kind, ByteView tlvs) {
    auto record = wire::sign_record(
        initiator().id(), initiator().sign_public(), {5, 3}, kind, tlvs, [](ByteView message) {
            return initiator().sign(message);
        });
    REQUIRE(record.has_value());
    return std::move(*record);
}

void add_records(Listing& listing) {
    wire::Topology topology;
    topology.name = "node-1";
    topology.endpoints.push_back({IpAddress::v4({192, 0, 2, 1}), 6783});
    topology.endpoints.push_back({*IpAddress::parse("2001:db8::1"), 6783});
    topology.static_key = initiator().static_public();
    topology.unreachable.push_back(responder().id());
    topology.flags = wire::Topology::kBridgePods;
    topology.lanes = 4;
    topology.software = "0.1.0";
    topology.unknown = {200, 2, 0, 1, 2};
    const wire::Record record = signed_record(wire::kTopologyKind, wire::encode_topology(topology));
    listing.add("topology-signed-part", record.signed_part());
    listing.add("topology-record", record.raw);

    wire::Addresses addresses;
    addresses.macs.push_back({{2, 0, 0, 0, 0, 10}});
    addresses.prefixes.push_back(*Prefix::parse("10.32.0.10/32"));
    addresses.prefixes.push_back(*Prefix::parse("fd00::/64"));
    addresses.router_mac = MacAddress{{2, 0, 0, 0, 0, 1}};
    listing.add("addresses-record",
                signed_record(wire::kAddressesKind, wire::encode_addresses(addresses)).raw);
    addresses.macs.push_back({{2, 0, 0, 0, 0, 11}});
    addresses.add(*Prefix::parse("10.32.0.11/32"), {{2, 0, 0, 0, 0, 11}});
    addresses.learned.push_back({{2, 0, 0, 0, 0, 12}});
    listing.add("addresses-record-with-holders",
                signed_record(wire::kAddressesKind, wire::encode_addresses(addresses)).raw);

    wire::Allocation allocation;
    allocation.range = *Prefix::parse("10.32.0.0/12");
    allocation.claims.push_back({0x1000, 0x2000, 1, 2, std::nullopt});
    allocation.claims.push_back({0x2000, 0x2400, 1, 3, responder().id()});
    allocation.want = wire::Allocation::Want{responder().id(), 1, 0xfffff};
    listing.add("allocation-record",
                signed_record(wire::kAllocationKind, wire::encode_allocation(allocation)).raw);

    wire::RecordBatch batch;
    REQUIRE(batch.add(record));
    listing.add("link-records", batch.take());
}

void add_link_messages(Listing& listing) {
    const wire::Notice copied{
        wire::NoticeCode::identity_twice, IpAddress::v4({192, 0, 2, 7}), "why"};
    listing.add("link-notice", wire::encode_notice(wire::LinkMessageKind::notice, copied));
    const wire::Notice stops{wire::NoticeCode::shutting_down, std::nullopt, "reason"};
    listing.add("link-close", wire::encode_notice(wire::LinkMessageKind::close, stops));
    wire::BucketDigest buckets;
    for (std::size_t i = 0; i < buckets.hashes.size(); ++i) {
        buckets.hashes[i] = i;
    }
    listing.add("link-digest-buckets", wire::encode_digest(buckets));
    wire::LineDigest lines;
    lines.mask = 3;
    lines.to.octets.fill(0xff);
    lines.lines.push_back({{initiator().id(), wire::kTopologyKind}, {5, 3}});
    listing.add("link-digest-lines", wire::encode_digest(lines));
    listing.add("link-request", wire::encode_request({{initiator().id(), wire::kAddressesKind}}));
}

} // namespace

TEST_CASE("bytes on the wire do not change between versions") {
    crypto::init();
    Listing listing;
    add_handshake(listing);
    add_small_datagrams(listing);
    add_control(listing);
    add_records(listing);
    add_link_messages(listing);
    listing.check();
}
