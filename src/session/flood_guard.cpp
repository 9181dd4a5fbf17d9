// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "session/flood_guard.hpp"

#include "wire/bytes_io.hpp"

#include <algorithm>

namespace weave::session {

namespace {

constexpr Duration kCookieRotation = std::chrono::seconds(120);
/** Proved senders together get this many times the rate of unproved ones. */
constexpr unsigned kProvedFactor = 4;

StaticHashKey hash_key(std::string_view label, const crypto::PublicKey& static_key) {
    const crypto::Hash64 hash = crypto::blake2b(as_bytes(label), static_key);
    StaticHashKey out{};
    std::copy_n(hash.begin(), out.size(), out.begin());
    return out;
}

/** What a cookie covers: address and port, or the relay address of who came through a relay. */
Bytes full_source(const Origin& from) {
    wire::ByteWriter out;
    out.u8(static_cast<std::uint8_t>(from.kind));
    if (from.kind == Origin::Kind::relayed) {
        return out.bytes(from.source).take();
    }
    return out.bytes(from.endpoint.address.bytes()).u16(from.endpoint.port).take();
}

/** What a sender can vary cheaply is left out: the port, and the lower half of an IPv6 address. */
Bytes coarse_source(const Origin& from) {
    if (from.kind == Origin::Kind::relayed) {
        return full_source(from);
    }
    const ByteView address = from.endpoint.address.bytes();
    const std::size_t size = std::min<std::size_t>(address.size(), 8);
    return wire::ByteWriter().u8(0).bytes(address.first(size)).take();
}

} // namespace

StaticHashKey mac1_key(const crypto::PublicKey& static_key) {
    return hash_key("mac1", static_key);
}

StaticHashKey cookie_key(const crypto::PublicKey& static_key) {
    return hash_key("cookie--", static_key);
}

bool TokenBucket::take(unsigned rate, TimePoint now) {
    const double full = rate;
    if (filled_ == TimePoint::min()) {
        tokens_ = full;
    } else if (now > filled_) {
        tokens_ += std::chrono::duration<double>(now - filled_).count() * full;
    }
    filled_ = std::max(filled_, now);
    tokens_ = std::min(tokens_, full);
    if (tokens_ < 1) {
        return false;
    }
    tokens_ -= 1;
    return true;
}

FloodGuard::FloodGuard(unsigned per_second,
                       unsigned per_source,
                       const crypto::PublicKey& own_static,
                       RandomSource random)
    : per_second_(per_second)
    , per_source_(per_source)
    , random_(std::move(random))
    , cookie_key_(cookie_key(own_static))
    , sources_(kSlots)
    , proved_sources_(kSlots) {
    random_(table_key_.span());
    random_(secret_.span());
    random_(old_secret_.span());
}

bool FloodGuard::take(Table& table, ByteView source, TimePoint now) {
    const crypto::Mac16 hash = crypto::keyed_mac16(table_key_.view(), source);
    const std::uint64_t id = wire::load_u64(hash.data());
    Slot& slot = table[id % kSlots];
    if (slot.source != id) {
        slot = {id, {}};
    }
    return slot.bucket.take(per_source_, now);
}

void FloodGuard::rotate(TimePoint now) {
    if (rotated_ == TimePoint::min()) {
        rotated_ = now;
    }
    const Duration age = now - rotated_;
    if (age < kCookieRotation) {
        return;
    }
    rotated_ = now;
    old_secret_ = std::move(secret_);
    random_(secret_.span());
    if (age >= 2 * kCookieRotation) { // nobody came for so long that the old one is over, too
        random_(old_secret_.span());
    }
}

FloodGuard::Proof FloodGuard::proof(const wire::InitView& init, ByteView source, TimePoint now) {
    if (std::all_of(init.mac2.begin(), init.mac2.end(), [](std::uint8_t b) { return b == 0; })) {
        return Proof::none;
    }
    rotate(now);
    for (const auto* secret : {&secret_, &old_secret_}) {
        const crypto::Mac16 cookie = crypto::keyed_mac16(secret->view(), source);
        if (crypto::equal(crypto::keyed_mac16(cookie, init.before_mac2), init.mac2)) {
            return Proof::true_one;
        }
    }
    return Proof::false_one;
}

FloodGuard::Verdict
FloodGuard::judge(const wire::InitView& init, const Origin& from, TimePoint now) {
    const Bytes full = full_source(from);
    switch (proof(init, full, now)) {
    case Proof::true_one: {
        const bool fits =
            take(proved_sources_, full, now) && all_proved_.take(per_second_ * kProvedFactor, now);
        return fits ? Verdict::allow : Verdict::drop;
    }
    case Proof::false_one: // altered on its way, or of a cookie that is over: here is a new one
        return Verdict::demand_cookie;
    case Proof::none:
        break;
    }
    const bool fits = take(sources_, coarse_source(from), now) && all_.take(per_second_, now);
    return fits ? Verdict::allow : Verdict::demand_cookie;
}

Bytes FloodGuard::cookie_reply(const wire::InitView& init, const Origin& from, TimePoint now) {
    rotate(now);
    const crypto::Mac16 cookie = crypto::keyed_mac16(secret_.view(), full_source(from));
    wire::CookieReply reply;
    reply.receiver_index = init.header.sender_index;
    random_(reply.nonce);
    const Bytes sealed = crypto::xchacha_seal(cookie_key_, reply.nonce, init.mac1, cookie);
    std::copy_n(sealed.begin(), std::min(sealed.size(), reply.sealed.size()), reply.sealed.begin());
    return reply.encode();
}

} // namespace weave::session
