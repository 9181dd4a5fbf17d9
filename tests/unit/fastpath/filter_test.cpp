// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Packets through the program by the kernel's own test run.
#include "base/bytes.hpp"
#include "fastpath/bpf_links.hpp"
#include "fastpath/filter.hpp"
#include "os/netlink.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

using namespace weave;
using namespace weave::fastpath;

namespace {

const MacAddress kMac = *MacAddress::parse("02:00:00:00:00:01");
const IpAddress kOwn4 = *IpAddress::parse("192.0.2.1");
const IpAddress kOwn6 = *IpAddress::parse("2001:db8::1");
constexpr std::uint16_t kPort = 6783;

void put16(Bytes& out, std::size_t at, std::size_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes ethernet(std::uint16_t type) {
    Bytes out(14);
    std::copy(kMac.octets.begin(), kMac.octets.end(), out.begin());
    out[6] = 0x02;
    out[11] = 0x02;
    put16(out, 12, type);
    return out;
}

void append_udp(Bytes& out, std::size_t payload) {
    const std::size_t at = out.size();
    out.resize(at + 8 + payload);
    put16(out, at, 40000);
    put16(out, at + 2, kPort);
    put16(out, at + 4, 8 + payload);
}

Bytes v4_frame(std::size_t payload = 100) {
    Bytes out = ethernet(0x0800);
    out.resize(34);
    out[14] = 0x45;
    put16(out, 16, 28 + payload);
    out[20] = 0x40; // do not fragment
    out[22] = 64;
    out[23] = 17;
    out[26] = 192;
    std::copy(kOwn4.bytes().begin(), kOwn4.bytes().end(), out.begin() + 30);
    append_udp(out, payload);
    return out;
}

Bytes v6_frame(std::size_t payload = 100) {
    Bytes out = ethernet(0x86dd);
    out.resize(54);
    out[14] = 0x60;
    put16(out, 18, 8 + payload);
    out[20] = 17;
    out[21] = 64;
    std::copy(kOwn6.bytes().begin(), kOwn6.bytes().end(), out.begin() + 38);
    append_udp(out, payload);
    return out;
}

/** A filter with a socket for queue 0, and its verdicts. */
class Tried {
  public:
    Tried()
        : socket_(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)) {
        filter_.configure({kMac, kPort, 1792});
        filter_.set_addresses({{kOwn4, kOwn6}});
        filter_.set_socket(0, socket_.get());
    }

    std::uint32_t verdict(const Bytes& frame) {
        Bytes out(frame.size() + 256);
        LIBBPF_OPTS(bpf_test_run_opts, run);
        run.data_in = frame.data();
        run.data_size_in = static_cast<std::uint32_t>(frame.size());
        run.data_out = out.data();
        run.data_size_out = static_cast<std::uint32_t>(out.size());
        REQUIRE(bpf_prog_test_run_opts(filter_.program(), &run) == 0);
        out.resize(run.data_size_out);
        CHECK(out == frame);
        return run.retval;
    }

    /** The frame with some bytes replaced. */
    std::uint32_t verdict(Bytes frame,
                          std::initializer_list<std::pair<std::size_t, std::uint8_t>> changes) {
        for (const auto& [at, value] : changes) {
            frame.at(at) = value;
        }
        return verdict(frame);
    }

    Filter filter_;

  private:
    os::UniqueFd socket_;
};

} // namespace

TEST_CASE("datagrams to our port and addresses are redirected") {
    Tried tried;
    CHECK(tried.verdict(v4_frame()) == XDP_REDIRECT);
    CHECK(tried.verdict(v6_frame()) == XDP_REDIRECT);
    CHECK(tried.verdict(v4_frame(0)) == XDP_REDIRECT);
    CHECK(tried.verdict(v6_frame(0)) == XDP_REDIRECT);
    CHECK(tried.verdict(v4_frame(1792 - 42)) == XDP_REDIRECT);
    Bytes padded = v4_frame(1); // Ethernet frames have at least 60 bytes
    padded.resize(60);
    CHECK(tried.verdict(padded) == XDP_REDIRECT);
    CHECK(tried.filter_.redirected() == 6);
    Bytes mapped = v6_frame();
    const std::array<std::uint8_t, 16> own4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1};
    std::copy(own4.begin(), own4.end(), mapped.begin() + 38);
    CHECK(tried.verdict(mapped) == XDP_REDIRECT); // nobody may send it; what it holds is sealed
}

TEST_CASE("everything else passes") {
    Tried tried;
    const Bytes v4 = v4_frame();
    const Bytes v6 = v6_frame();
    CHECK(tried.verdict(v4, {{37, 0x80}}) == XDP_PASS); // port
    CHECK(tried.verdict(v6, {{57, 0x80}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{33, 2}}) == XDP_PASS); // address
    CHECK(tried.verdict(v6, {{53, 2}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{5, 9}}) == XDP_PASS); // MAC
    CHECK(tried.verdict(v4, {{0, 0xff}, {1, 0xff}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{23, 6}}) == XDP_PASS); // TCP
    CHECK(tried.verdict(v6, {{20, 6}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{14, 0x46}}) == XDP_PASS); // options
    CHECK(tried.verdict(v4, {{14, 0x44}}) == XDP_PASS); // a header of 16 bytes
    CHECK(tried.verdict(v4, {{14, 0x65}}) == XDP_PASS); // version
    CHECK(tried.verdict(v6, {{14, 0x40}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{20, 0x20}}) == XDP_PASS);             // more fragments
    CHECK(tried.verdict(v4, {{21, 0x10}}) == XDP_PASS);             // a later fragment
    CHECK(tried.verdict(v6, {{20, 44}}) == XDP_PASS);               // a fragment header
    CHECK(tried.verdict(v6, {{20, 0}}) == XDP_PASS);                // hop-by-hop options
    CHECK(tried.verdict(v4, {{12, 0x08}, {13, 0x06}}) == XDP_PASS); // ARP
    CHECK(tried.verdict(v4, {{12, 0x81}, {13, 0x00}}) == XDP_PASS); // VLAN
    CHECK(tried.verdict(v4_frame(1792 - 41)) == XDP_PASS);          // too large for a socket
    CHECK(tried.filter_.redirected() == 0);
}

TEST_CASE("datagrams for lanes of sparse flows pass, where there are such lanes") {
    Tried tried;
    constexpr std::size_t lane4 = 14 + 20 + 8 + 4;
    constexpr std::size_t lane6 = 14 + 40 + 8 + 4;
    CHECK(tried.verdict(v4_frame(), {{lane4, 0x01}}) == XDP_REDIRECT);
    tried.filter_.configure({kMac, kPort, 1792, true});
    CHECK(tried.verdict(v4_frame(), {{lane4, 0x01}}) == XDP_PASS);
    CHECK(tried.verdict(v6_frame(), {{lane6, 0x01}}) == XDP_PASS);
    CHECK(tried.verdict(v4_frame(), {{lane4, 0xff}}) == XDP_PASS);
    CHECK(tried.verdict(v4_frame(), {{lane4, 0x02}}) == XDP_REDIRECT);
    CHECK(tried.verdict(v6_frame(), {{lane6, 0xfe}}) == XDP_REDIRECT);
    CHECK(tried.verdict(v4_frame(5), {{lane4, 0x01}}) == XDP_PASS);
    CHECK(tried.verdict(v4_frame(4)) == XDP_REDIRECT); // no lane is in it
}

TEST_CASE("frames whose lengths lie pass") {
    Tried tried;
    const Bytes v4 = v4_frame();
    const Bytes v6 = v6_frame();
    CHECK(tried.verdict(v4, {{17, 129}}) == XDP_PASS); // IP says more than there is
    CHECK(tried.verdict(v4, {{17, 127}}) == XDP_PASS); // and UDP more than IP
    CHECK(tried.verdict(v4, {{17, 27}}) == XDP_PASS);
    CHECK(tried.verdict(v4, {{39, 107}}) == XDP_PASS);
    CHECK(tried.verdict(v6, {{19, 109}}) == XDP_PASS);
    CHECK(tried.verdict(v6, {{19, 7}, {59, 7}}) == XDP_PASS);
    for (const Bytes& whole : {v4, v6}) {
        for (std::size_t size = 14; size < whole.size(); ++size) {
            CHECK(tried.verdict({whole.begin(), whole.begin() + static_cast<int>(size)}) ==
                  XDP_PASS);
        }
    }
}

TEST_CASE("addresses, port and sockets change") {
    Tried tried;
    tried.filter_.set_addresses({{kOwn6}});
    CHECK(tried.verdict(v4_frame()) == XDP_PASS);
    CHECK(tried.verdict(v6_frame()) == XDP_REDIRECT);
    tried.filter_.set_addresses({{kOwn4}});
    CHECK(tried.verdict(v4_frame()) == XDP_REDIRECT);
    CHECK(tried.verdict(v6_frame()) == XDP_PASS);
    tried.filter_.configure({kMac, 6784, 1792});
    CHECK(tried.verdict(v4_frame()) == XDP_PASS);

    Filter without_socket;
    without_socket.configure({kMac, kPort, 1792});
    without_socket.set_addresses({{kOwn4}});
    const Bytes frame = v4_frame();
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.data_in = frame.data();
    run.data_size_in = static_cast<std::uint32_t>(frame.size());
    REQUIRE(bpf_prog_test_run_opts(without_socket.program(), &run) == 0);
    CHECK(run.retval == XDP_PASS);

    std::vector<IpAddress> many;
    for (unsigned i = 0; i < Filter::kMaxAddresses + 10; ++i) {
        many.push_back(IpAddress::v4(
            {10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}));
    }
    CHECK_NOTHROW(tried.filter_.set_addresses(many));
}

TEST_CASE("a program of somebody else is left alone") {
    const unsigned loopback = ::if_nametoindex("lo");
    REQUIRE(loopback != 0);
    CHECK_FALSE(attached_program(loopback));
    Filter ours;
    {
        Filter other;
        REQUIRE(bpf_xdp_attach(
                    static_cast<int>(loopback), other.program(), XDP_FLAGS_SKB_MODE, nullptr) == 0);
        const auto id = attached_program(loopback);
        REQUIRE(id);
        for (const Hook hook : {Hook::native, Hook::generic}) {
            CHECK_THROWS_WITH_AS(ours.attach(loopback, hook),
                                 ("an XDP program of somebody else, id " + std::to_string(*id) +
                                  ", is attached to lo and left alone")
                                     .c_str(),
                                 std::system_error);
        }
        CHECK(attached_program(loopback) == id);
        CHECK_FALSE(ours.attached());
        REQUIRE(bpf_xdp_detach(static_cast<int>(loopback), XDP_FLAGS_SKB_MODE, nullptr) == 0);
    }
    ours.attach(loopback, Hook::generic);
    CHECK(ours.attached());
    CHECK(attached_program(loopback));
    ours.detach();
    CHECK_FALSE(attached_program(loopback));
}

TEST_CASE("a program that is attached by a link is noticed") {
    const unsigned loopback = ::if_nametoindex("lo");
    BpfLinks links;
    std::ignore = links.made_new(); // others may be there
    Filter ours;
    ours.attach(loopback, Hook::generic);
    CHECK(links.made_new());
    CHECK(BpfLinks{}.made_new());
}

TEST_CASE("the program is gone with its owner") {
    const unsigned loopback = ::if_nametoindex("lo");
    {
        Filter ours;
        ours.attach(loopback, Hook::generic);
        CHECK(attached_program(loopback));
    }
    CHECK_FALSE(attached_program(loopback));
    Filter ours;
    CHECK_THROWS_AS(ours.attach(12345, Hook::generic), std::system_error);
}
