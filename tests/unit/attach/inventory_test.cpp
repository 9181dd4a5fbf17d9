// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/attach/world.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <set>
#include <string>
#include <thread>

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

/** What a host that has just been made reads from the kernel. */
bool is_what_a_new_one_reads(World& world) {
    const auto text = [](const Attachment& each) {
        std::string out = each.host_ifname + ' ' + each.id + ' ' + each.ifname + ' ' +
                          each.mac.text() + ' ' + std::to_string(each.mtu);
        for (const Prefix& prefix : each.addresses) {
            out += ' ' + prefix.text();
        }
        return out;
    };
    std::set<std::string> known, fresh;
    std::ranges::transform(world.host->list(), std::inserter(known, known.end()), text);
    std::ranges::transform(world.make()->list(), std::inserter(fresh, fresh.end()), text);
    CHECK(known == fresh);
    return known == fresh;
}

/** A program that lets everything pass. */
os::UniqueFd load_xdp() {
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_attr load;
    std::memset(&load, 0, sizeof load);
    load.prog_type = BPF_PROG_TYPE_XDP;
    load.insn_cnt = 2;
    load.insns = reinterpret_cast<std::uintptr_t>(code);
    load.license = reinterpret_cast<std::uintptr_t>("");
    os::UniqueFd out{static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load))};
    REQUIRE(out);
    return out;
}

/** For the interface of that name in this thread's namespace. */
void attach_xdp(const std::string& name, bool on) {
    const os::UniqueFd program = on ? load_xdp() : os::UniqueFd{};

    struct {
        nlmsghdr header;
        ifinfomsg link;
        rtattr xdp, fd;
        std::int32_t value;
        rtattr flags;
        std::uint32_t mode;
    } request{};

    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_SETLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.link.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
    request.xdp = {sizeof(rtattr) * 3 + 8, IFLA_XDP | NLA_F_NESTED};
    request.fd = {sizeof(rtattr) + 4, IFLA_XDP_FD};
    request.value = program.get();
    request.flags = {sizeof(rtattr) + 4, IFLA_XDP_FLAGS};
    request.mode = XDP_FLAGS_SKB_MODE;
    const os::UniqueFd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    REQUIRE(::send(socket.get(), &request, sizeof request, 0) == sizeof request);

    struct {
        nlmsghdr header;
        nlmsgerr error;
        std::uint8_t rest[256];
    } answer{};

    REQUIRE(::recv(socket.get(), &answer, sizeof answer, 0) > 0);
    REQUIRE(answer.error.error == 0);
}

/** The same by a link: there until the descriptor is closed. */
os::UniqueFd attach_xdp_link(const std::string& name) {
    const os::UniqueFd program = load_xdp();
    bpf_attr link;
    std::memset(&link, 0, sizeof link);
    link.link_create.prog_fd = static_cast<std::uint32_t>(program.get());
    link.link_create.target_ifindex = ::if_nametoindex(name.c_str());
    link.link_create.attach_type = BPF_XDP;
    link.link_create.flags = XDP_FLAGS_SKB_MODE;
    os::UniqueFd out{static_cast<int>(::syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof link))};
    REQUIRE(out);
    return out;
}

} // namespace

TEST_CASE("a program that reads frames raw is noticed, at either end of a pod's link") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    const auto one = attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    attach::PodSpec routed = pod({"10.32.0.3/32"}, "two");
    routed.mode = Mode::routed;
    attach_pod(*world.host, b.get(), routed);
    CHECK_FALSE(world.host->read_raw());

    struct Place {
        const os::UniqueFd& ns;
        std::string name;
    };

    for (const Place& at : {Place{a, "eth0"}, Place{b, "eth0"}, Place{world.ns, one.host_ifname}}) {
        CAPTURE(at.name);
        for (const bool on : {true, false}) {
            os::run_in_netns(at.ns.get(), [&] { attach_xdp(at.name, on); });
            CHECK(world.host->read_raw() == on);
        }
    }
    // Of one that is attached by a link the kernel does not tell.
    {
        os::UniqueFd link;
        os::run_in_netns(a.get(), [&] { link = attach_xdp_link("eth0"); });
        world.host->look_anew();
        CHECK(world.host->read_raw());
    }
    world.host->look_anew();
    CHECK_FALSE(world.host->read_raw());
    // What others have is no matter.
    os::run_in_netns(world.ns.get(), [&] { attach_xdp("lo", true); });
    CHECK_FALSE(world.host->read_raw());
}

TEST_CASE("what a pod changes inside itself is known at once") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    attach_pod(*world.host, b.get(), pod({"10.32.0.3/12", "fd00:5::3/64"}, "two"));
    REQUIRE(world.host->list().size() == 2);
    os::Netlink inside = os::Netlink::open_in(b.get());
    const os::Link link = inside.require_link("eth0");
    const auto of_b = [&] {
        const auto all = world.host->list();
        const auto found = std::ranges::find(all, "two", &Attachment::id);
        return found == all.end() ? Attachment{} : *found;
    };
    inside.set_mac(link, *MacAddress::parse("02:00:00:00:00:07"));
    CHECK(of_b().mac.text() == "02:00:00:00:00:07");
    inside.add_address(link, *Prefix::parse("10.32.0.9/12"));
    CHECK(of_b().addresses.size() == 3);
    inside.delete_address(link, *Prefix::parse("fd00:5::3/64"));
    CHECK(of_b().addresses == pod({"10.32.0.3/12", "10.32.0.9/12"}).addresses);
    inside.set_mtu(link, 1300);
    CHECK(of_b().mtu == 1300);
    CHECK(is_what_a_new_one_reads(world));
}

TEST_CASE("what others do to pods' links is known at once") {
    World world;
    world.host->ensure_bridge();
    os::UniqueFd a = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    CHECK(world.host->list().size() == 1);
    const auto other = world.make();
    const os::UniqueFd b = new_netns();
    attach_pod(*other, b.get(), pod({"10.32.0.3/12"}, "two"));
    CHECK(world.host->list().size() == 2);
    CHECK(is_what_a_new_one_reads(world));
    const auto gone = [&] { return world.host->list().size() == 1; };
    a = {}; // the namespace goes, and its links a little later
    for (int tries = 0; tries < 500 && !gone(); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(gone());
    // Its number in our namespace is free for the next one.
    const os::UniqueFd c = new_netns();
    attach_pod(*other, c.get(), pod({"10.32.0.4/12"}, "three"));
    CHECK(world.host->list().size() == 2);
    CHECK(is_what_a_new_one_reads(world));
    CHECK(other->detach_pod(os::netns_inode(c.get()), "eth0"));
    CHECK(gone());
    world.netlink.set_mtu(world.netlink.require_link(world.host->list()[0].host_ifname), 1280);
    CHECK(world.host->ports()[0].mtu == 1280);
}

TEST_CASE("a pod's interface that moves on to another namespace is followed") {
    World world;
    world.host->ensure_bridge();
    const os::UniqueFd a = new_netns();
    const os::UniqueFd b = new_netns();
    attach_pod(*world.host, a.get(), pod({"10.32.0.2/12"}));
    CHECK(world.host->list()[0].addresses.size() == 1);
    const std::string to = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(b.get());
    os::run_in_netns(a.get(),
                     [&] { REQUIRE(std::system(("ip link set eth0 netns " + to).c_str()) == 0); });
    os::Netlink inside = os::Netlink::open_in(b.get());
    inside.add_address(inside.require_link("eth0"), *Prefix::parse("10.32.0.2/12"));
    CHECK(world.host->list()[0].addresses.size() == 1);
    CHECK(is_what_a_new_one_reads(world));
}

TEST_CASE("addresses of the host are known at once") {
    World world;
    world.host->ensure_bridge();
    CHECK(world.host->exposed().empty());
    const os::Link bridge = world.netlink.require_link("weave");
    world.netlink.add_address(bridge, *Prefix::parse("10.32.0.1/12"));
    CHECK(world.host->exposed() == pod({"10.32.0.1/12"}).addresses);
    world.netlink.delete_address(bridge, *Prefix::parse("10.32.0.1/12"));
    CHECK(world.host->exposed().empty());
}
