// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/handover.hpp"

#include "wire/bytes_io.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <utility>

namespace weave::daemon {
namespace {

using wire::ByteReader;
using wire::ByteWriter;

constexpr std::uint32_t kMagic = 0x6f687657; // "Wvho"
/** Of any list: no more than this machine could hold, and what a damaged length cannot exceed. */
constexpr std::uint32_t kMaxItems = 1U << 22;

/** One description of each structure serves both directions. */
class Writer {
  public:
    static constexpr bool kReads = false;

    void value(std::uint8_t& v) { out_.u8(v); }

    void value(std::uint16_t& v) { out_.u16(v); }

    void value(std::uint32_t& v) { out_.u32(v); }

    void value(std::uint64_t& v) { out_.u64(v); }

    void bytes(ByteSpan v) { out_.bytes(v); }

    std::uint32_t count(std::size_t size) {
        out_.u32(static_cast<std::uint32_t>(size));
        return static_cast<std::uint32_t>(size);
    }

    [[nodiscard]] bool ok() const { return true; }

    Bytes take() { return out_.take(); }

  private:
    ByteWriter out_;
};

class Reader {
  public:
    static constexpr bool kReads = true;

    explicit Reader(ByteView bytes)
        : in_(bytes) {}

    void value(std::uint8_t& v) { v = in_.u8(); }

    void value(std::uint16_t& v) { v = in_.u16(); }

    void value(std::uint32_t& v) { v = in_.u32(); }

    void value(std::uint64_t& v) { v = in_.u64(); }

    void bytes(ByteSpan v) {
        const ByteView from = in_.take(v.size());
        std::copy(from.begin(), from.end(), v.begin());
    }

    /** An item takes a byte at least: a length beyond what is there is refused before memory is. */
    std::uint32_t count(std::size_t) {
        const std::uint32_t size = in_.u32();
        if (size > in_.remaining() || size > kMaxItems) {
            in_.fail();
            return 0;
        }
        return size;
    }

    [[nodiscard]] bool ok() const { return in_.ok(); }

    [[nodiscard]] bool whole() const { return in_.ok() && in_.at_end(); }

    void fail() { in_.fail(); }

  private:
    ByteReader in_;
};

template <class Io, std::unsigned_integral T> void describe(Io& io, T& v) {
    if constexpr (std::same_as<T, bool>) {
        auto byte = static_cast<std::uint8_t>(v);
        io.value(byte);
        v = byte != 0;
    } else {
        io.value(v);
    }
}

template <class Io> void describe(Io& io, TimePoint& v) {
    auto ticks = static_cast<std::uint64_t>(v.time_since_epoch().count());
    io.value(ticks);
    v = TimePoint{Duration{static_cast<Duration::rep>(ticks)}};
}

template <class Io> void describe(Io& io, Duration& v) {
    auto ticks = static_cast<std::uint64_t>(v.count());
    io.value(ticks);
    v = Duration{static_cast<Duration::rep>(ticks)};
}

template <class Io> void describe(Io& io, std::string& v) {
    v.resize(io.count(v.size()));
    io.bytes({reinterpret_cast<std::uint8_t*>(v.data()), v.size()});
}

template <class Io> void describe(Io& io, Bytes& v) {
    v.resize(io.count(v.size()));
    io.bytes(v);
}

template <class Io, std::size_t N> void describe(Io& io, std::array<std::uint8_t, N>& v) {
    io.bytes(v);
}

template <class Io> void describe(Io& io, crypto::Key32& v) {
    io.bytes(v.span());
}

template <class Io> void describe(Io& io, NodeId& v) {
    io.bytes(v.octets);
}

template <class Io> void describe(Io& io, MacAddress& v) {
    io.bytes(v.octets);
}

template <class Io> void describe(Io& io, IpAddress& v) {
    std::array<std::uint8_t, 16> octets{};
    auto size = static_cast<std::uint8_t>(v.bytes().size());
    std::copy(v.bytes().begin(), v.bytes().end(), octets.begin());
    io.value(size);
    io.bytes(octets);
    if constexpr (Io::kReads) {
        const auto read = size <= octets.size()
                              ? IpAddress::from_bytes(ByteView{octets}.first(size))
                              : std::nullopt;
        if (!read) {
            io.fail();
            return;
        }
        v = *read;
    }
}

template <class Io> void describe(Io& io, Endpoint& v) {
    describe(io, v.address);
    describe(io, v.port);
}

// Of structures, below: named here for the containers of them.
template <class Io> void describe(Io& io, session::SessionAge& v);
template <class Io> void describe(Io& io, session::PeerSessions& v);
template <class Io> void describe(Io& io, HandedKeys& v);
template <class Io> void describe(Io& io, HandedPeer& v);
template <class Io> void describe(Io& io, crypto::ReplayWindow<>::State& v);
template <class Io> void describe(Io& io, dataplane::DataSession::Progress& v);

template <class Io, class T> void describe(Io& io, std::optional<T>& v) {
    bool there = v.has_value();
    describe(io, there);
    if constexpr (Io::kReads) {
        v.reset();
        if (there) {
            v.emplace();
        }
    }
    if (there) {
        describe(io, *v);
    }
}

template <class Io, class T> void describe(Io& io, std::vector<T>& v) {
    const std::uint32_t size = io.count(v.size());
    if constexpr (Io::kReads) {
        v.clear();
        for (std::uint32_t i = 0; i < size && io.ok(); ++i) {
            describe(io, v.emplace_back());
        }
    } else {
        for (T& each : v) {
            describe(io, each);
        }
    }
}

template <class Io, class Key, class T> void describe(Io& io, std::map<Key, T>& v) {
    const std::uint32_t size = io.count(v.size());
    if constexpr (Io::kReads) {
        v.clear();
        for (std::uint32_t i = 0; i < size && io.ok(); ++i) {
            Key key{};
            describe(io, key);
            describe(io, v[key]);
        }
    } else {
        for (auto& [key, value] : v) {
            Key copy = key;
            describe(io, copy);
            describe(io, value);
        }
    }
}

template <class Io, class... T> void describe_all(Io& io, T&... values) {
    (describe(io, values), ...);
}

/** An enumeration whose values go from `first` to `last`. */
template <class Io, class E> void describe_enum(Io& io, E& v, E first, E last) {
    auto number = static_cast<std::uint8_t>(v);
    io.value(number);
    if constexpr (Io::kReads) {
        if (number < static_cast<std::uint8_t>(first) || number > static_cast<std::uint8_t>(last)) {
            io.fail();
            return;
        }
        v = static_cast<E>(number);
    }
}

template <class Io> void describe(Io& io, session::SessionAge& v) {
    describe_all(io, v.local_index, v.created, v.rekey_at, v.retire_at, v.confirmed);
}

template <class Io> void describe(Io& io, session::PeerSessions& v) {
    describe_all(io,
                 v.node,
                 v.static_key,
                 v.greatest.first,
                 v.greatest.second,
                 v.greatest_at,
                 v.current,
                 v.next,
                 v.old);
}

template <class Io> void describe(Io& io, HandedKeys& v) {
    describe_enum(io, v.keys.suite, crypto::Suite::aes256gcm, crypto::Suite::clear);
    describe_all(io,
                 v.keys.local_index,
                 v.keys.remote_index,
                 v.keys.send,
                 v.keys.receive,
                 v.lifetime.seal_until,
                 v.lifetime.open_until,
                 v.features);
    const auto lanes = [&io](const std::vector<crypto::Key32>& keys) {
        if constexpr (Io::kReads) {
            if (keys.empty() || keys.size() > crypto::kMaxLanes) {
                io.fail();
            }
        }
        return static_cast<std::uint8_t>(keys.size());
    };
    v.keys.local_lanes = lanes(v.keys.send);
    v.keys.remote_lanes = lanes(v.keys.receive);
}

template <class Io> void describe(Io& io, session::PathState& v) {
    describe_enum(io, v.use.kind, session::Use::Kind::none, session::Use::Kind::relay);
    describe_all(io, v.use.direct, v.use.relay, v.mtu.size, v.mtu.settled, v.rtt, v.interface_mtu);
}

template <class Io> void describe(Io& io, HandedPeer& v) {
    describe_all(io, v.node, v.epoch, v.path, v.keys, v.sending, v.installed, v.told_unreachable);
}

template <class Io> void describe(Io& io, crypto::ReplayWindow<>::State& v) {
    for (std::uint64_t& word : v.words) {
        io.value(word);
    }
    describe_all(io, v.newest, v.any);
}

template <class Io> void describe(Io& io, dataplane::DataSession::Progress& v) {
    describe_all(io, v.sealed, v.seen, v.confirmed);
}

template <class Io> void describe(Io& io, HandoverFit& v) {
    describe_all(io, v.state_dir, v.cluster, v.port, v.listen, v.bridge, v.tap, v.lanes, v.clear);
}

template <class Io> void describe(Io& io, HandoverRequest& v) {
    describe_all(io, v.software, v.fit);
}

template <class Io> void describe(Io& io, Handover& v) {
    describe_all(io,
                 v.started,
                 v.boot_epoch,
                 v.mesh_version,
                 v.handshake_counter,
                 v.lanes.tap_tso,
                 v.lanes.tap_uso,
                 v.lanes.tap_queues,
                 v.lanes.udp4,
                 v.lanes.udp6,
                 v.records,
                 v.learned,
                 v.locals,
                 v.sessions,
                 v.peers);
}

template <class T> Bytes encode(const T& value) {
    Writer out;
    std::uint32_t magic = kMagic;
    std::uint32_t format = kHandoverFormat;
    describe_all(out, magic, format);
    describe(out, const_cast<T&>(value)); // a writer changes nothing
    return out.take();
}

template <class T> Result<T> decode(ByteView bytes) {
    Reader in{bytes};
    std::uint32_t magic = 0;
    std::uint32_t format = 0;
    describe_all(in, magic, format);
    if (!in.ok() || magic != kMagic) {
        return make_error_code(std::errc::bad_message);
    }
    if (format != kHandoverFormat) {
        return make_error_code(std::errc::protocol_not_supported);
    }
    T value;
    describe(in, value);
    if (!in.whole()) {
        return make_error_code(std::errc::bad_message);
    }
    return value;
}

} // namespace

std::string HandoverFit::difference(const HandoverFit& running) const {
    const auto words = [](const std::string& text) { return text.empty() ? "none" : text; };
    const auto differs = [&](const char* option, std::string HandoverFit::*field) {
        return this->*field == running.*field
                   ? std::string{}
                   : fmt::format("{} is {} and the weaved that runs has {}: that cannot change "
                                 "without a stop",
                                 option,
                                 words(this->*field),
                                 words(running.*field));
    };
    for (const auto& [option, field] : {std::pair{"--state-dir", &HandoverFit::state_dir},
                                        {"the cluster", &HandoverFit::cluster},
                                        {"--port", &HandoverFit::port},
                                        {"--listen", &HandoverFit::listen},
                                        {"--bridge", &HandoverFit::bridge},
                                        {"--tap", &HandoverFit::tap},
                                        {"--lanes", &HandoverFit::lanes},
                                        {"--clear", &HandoverFit::clear}}) {
        if (std::string sentence = differs(option, field); !sentence.empty()) {
            return sentence;
        }
    }
    return {};
}

Bytes encode_request(const HandoverRequest& request) {
    return encode(request);
}

Result<HandoverRequest> decode_request(ByteView bytes) {
    return decode<HandoverRequest>(bytes);
}

Bytes encode_handover(const Handover& handover) {
    return encode(handover);
}

Result<Handover> decode_handover(ByteView bytes) {
    return decode<Handover>(bytes);
}

Bytes encode_progress(const HandoverProgress& progress) {
    return encode(progress);
}

Result<HandoverProgress> decode_progress(ByteView bytes) {
    return decode<HandoverProgress>(bytes);
}

} // namespace weave::daemon
