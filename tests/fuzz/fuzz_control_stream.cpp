// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// A TCP link's handshake with fixed keys. Either raw bytes for one side, or two sides and whoever
// sits between them: operations that pass, cut, change, repeat and insert bytes.
#include "session/control.hpp"
#include "target.hpp"

#include <array>

namespace weave::fuzz {
namespace {

using namespace weave::session;
using Status = ControlHandshake::Status;

constexpr int kMaxOperations = 48;
constexpr std::size_t kMaxIncoming = 4096; ///< beyond, nothing is said twice

crypto::Key32 key_of(std::uint8_t fill) {
    std::array<std::uint8_t, 32> raw{};
    raw.fill(fill);
    return crypto::Key32(raw);
}

const crypto::Identity& identity(bool initiator) {
    static const crypto::Identity first = crypto::Identity::from_seed(key_of(1));
    static const crypto::Identity second = crypto::Identity::from_seed(key_of(2));
    return initiator ? first : second;
}

ControlLocal local(bool initiator) {
    ControlLocal out;
    out.identity = &identity(initiator);
    out.cluster_id.fill(7);
    out.secrets.push_back({1, key_of(0x51)});
    if (!initiator) {
        out.secrets.push_back({2, key_of(0x52)});
    }
    out.name = initiator ? "left" : "right";
    out.boot_epoch = 3;
    out.nonce = initiator ? 10 : 11;
    out.udp_port = 6783;
    return out;
}

/** One end, and the bytes on their way to it. */
struct Side {
    explicit Side(bool is_initiator)
        : initiator(is_initiator)
        , handshake(local(is_initiator), is_initiator) {}

    /** Takes the first `count` bytes on their way. */
    void receive(std::size_t count, Side& other) {
        const std::size_t size = std::min(count, incoming.size());
        const Bytes part(incoming.begin(), incoming.begin() + static_cast<std::ptrdiff_t>(size));
        incoming.erase(incoming.begin(), incoming.begin() + static_cast<std::ptrdiff_t>(size));
        const Status before = handshake.status();
        const Status after = handshake.on_bytes(part);
        FUZZ_CHECK(before == Status::running || after == before);
        append(other.incoming, handshake.take_output());
    }

    bool initiator;
    ControlHandshake handshake;
    Bytes incoming;
};

struct Link {
    Link() { append(right.incoming, left.handshake.take_output()); }

    Side left{true};
    Side right{false};
    bool tampered = false;
};

void tamper(Bytes& bytes, unsigned how, Input& input) {
    const std::size_t at = bytes.empty() ? 0 : input.u16() % bytes.size();
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (how) {
    case 0: // change one byte
        if (!bytes.empty()) {
            *place ^= static_cast<std::uint8_t>(input.u8() | 1);
        }
        break;
    case 1: { // insert
        const ByteView part = input.short_part();
        bytes.insert(place, part.begin(), part.end());
        break;
    }
    case 2: // lose the rest
        bytes.erase(place, bytes.end());
        break;
    default: // say it twice
        if (bytes.size() < kMaxIncoming) {
            const Bytes twice(place, bytes.end());
            append(bytes, twice);
        }
    }
}

void check_done(Side& side, Side& other) {
    if (side.handshake.status() == Status::failed) {
        FUZZ_CHECK(!sentence(side.handshake.failure()).empty());
        return;
    }
    if (side.handshake.status() != Status::done) {
        return;
    }
    const ControlPeer& peer = side.handshake.peer();
    const ControlLocal expected = local(other.initiator);
    FUZZ_CHECK(peer.id == identity(other.initiator).id());
    FUZZ_CHECK(peer.static_public == identity(other.initiator).static_public());
    FUZZ_CHECK(peer.name == expected.name && peer.nonce == expected.nonce);
    FUZZ_CHECK(peer.udp_port == expected.udp_port && peer.boot_epoch == expected.boot_epoch);
}

/** Sealed messages, cut anywhere: those that are whole arrive, as they were and in their order. */
void check_framing(crypto::CipherState& sender, crypto::CipherState& receiver, std::size_t cut) {
    const std::array<Bytes, 3> texts{Bytes{1, 2, 3}, Bytes{}, Bytes(300, 7)};
    Bytes stream;
    for (const Bytes& text : texts) {
        wire::append_control_message(stream, sender.seal({}, text));
    }
    std::size_t whole = 0;
    std::size_t taken = 0;
    for (const std::size_t size : {std::min(cut, stream.size()), stream.size()}) {
        ByteView rest = ByteView{stream}.first(size).subspan(taken);
        while (const auto sealed = wire::take_control_message(rest)) {
            const auto opened = receiver.open({}, *sealed);
            FUZZ_CHECK(whole < texts.size() && opened && *opened == texts[whole]);
            ++whole;
        }
        taken = size - rest.size();
    }
    FUZZ_CHECK(whole == texts.size() && taken == stream.size());
}

/** Whatever happened on the way: when both are done, they share keys. */
void check_transport(Link& link, std::size_t cut) {
    if (link.left.handshake.status() != Status::done ||
        link.right.handshake.status() != Status::done) {
        return;
    }
    for (Side* from : {&link.left, &link.right}) {
        Side& to = from == &link.left ? link.right : link.left;
        auto sender = from->handshake.take_sender();
        auto receiver = to.handshake.take_receiver();
        check_framing(sender, receiver, cut);
    }
}

void run_between(Input& input) {
    Link link;
    for (int i = 0; i < kMaxOperations && !input.empty(); ++i) {
        const std::uint8_t op = input.u8();
        Side& to = (op & 1) != 0 ? link.left : link.right;
        Side& other = (op & 1) != 0 ? link.right : link.left;
        if ((op & 2) != 0) {
            to.receive(input.u8(), other);
        } else {
            link.tampered = true;
            tamper(to.incoming, (op >> 2) % 4, input);
        }
    }
    for (int i = 0; i < 4; ++i) {
        link.right.receive(link.right.incoming.size(), link.left);
        link.left.receive(link.left.incoming.size(), link.right);
    }
    check_done(link.left, link.right);
    check_done(link.right, link.left);
    const bool both = link.left.handshake.status() == Status::done &&
                      link.right.handshake.status() == Status::done;
    FUZZ_CHECK(link.tampered || both);
    check_transport(link, input.u16() % 400U);
}

void run_raw(Input& input, bool initiator) {
    Side side(initiator);
    Side sink(!initiator);
    const std::size_t piece = std::max<std::size_t>(input.u8(), 1);
    side.incoming = copy(input.rest());
    std::size_t framed = 0;
    ByteView rest = side.incoming;
    while (const auto body = wire::take_control_message(rest)) {
        framed += wire::kControlLengthSize + body->size();
    }
    FUZZ_CHECK(framed + rest.size() == side.incoming.size());
    while (!side.incoming.empty() && side.handshake.status() == Status::running) {
        side.receive(piece, sink);
    }
    check_done(side, sink);
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    restart_randomness();
    Input input({data, size});
    const std::uint8_t mode = input.u8();
    if (mode % 3 == 0) {
        run_between(input);
    } else {
        run_raw(input, mode % 3 == 1);
    }
    return 0;
}
