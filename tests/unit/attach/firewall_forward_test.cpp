// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/removal.hpp"
#include "tests/unit/attach/firewall_world.hpp"

#include <doctest/doctest.h>

#include <array>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <system_error>
#include <thread>

#include <sched.h>
#include <unistd.h>

using namespace weave;
using namespace weave::attach;
using namespace weave::test;

namespace {

constexpr const char* kDrop = "; iptables -P FORWARD DROP; ip6tables -P FORWARD DROP";

/** A pod, and a neighbour of the host's that is none of ours, both of which want to the outside. */
struct Traffic : FirewallWorld {
    TestPod routed_pod = routed(30);
    TestPod bridge_pod = bridged(2);
    os::UniqueFd stranger = new_netns();
    std::unique_ptr<Firewall> wall = firewall(settings());

    Traffic() {
        join(stranger,
             "other0",
             "198.51.100.1/24",
             "2001:db8:1::1/64",
             "198.51.100.2/24",
             "2001:db8:1::2/64");
        shell(stranger,
              "ip route add default via 198.51.100.1; ip route add default via 2001:db8:1::1");
        shell(outside, "ip route add 198.51.100.0/24 via 192.0.2.1");
        shell(outside, "ip route add 2001:db8:1::/64 via 2001:db8::1");
        for (const os::UniqueFd* from : {&bridge_pod.ns, &routed_pod.ns, &stranger}) {
            REQUIRE(pings(*from, "192.0.2.2", 30)); // new IPv6 links take a while
            REQUIRE(pings(*from, "2001:db8::2", 30));
        }
    }

    /** Tries a few times: a machine under load is slow, and a neighbour may have to be asked. */
    [[nodiscard]] static bool
    pings(const os::UniqueFd& from, const std::string& to, int tries = 3) {
        return shell(from,
                     "for i in $(seq " + std::to_string(tries) + "); do ping -c 1 -W 0.5 " + to +
                         " >/dev/null 2>&1 && echo yes && exit; done; echo no") == "yes\n";
    }

    /** Letters of the paths that are open: bridged, routed, stranger; capital for IPv6. */
    [[nodiscard]] std::string open() const {
        const std::array<const os::UniqueFd*, 3> sources{&bridge_pod.ns, &routed_pod.ns, &stranger};
        std::array<std::future<bool>, 6> open;
        for (std::size_t i = 0; i < open.size(); ++i) {
            const std::string to = i % 2 == 0 ? "192.0.2.2" : "2001:db8::2";
            open[i] =
                std::async(std::launch::async, [&, i, to] { return pings(*sources[i / 2], to); });
        }
        std::string out;
        for (std::size_t i = 0; i < open.size(); ++i) {
            out += open[i].get() ? std::string{"bBrRsS"[i]} : "";
        }
        return out;
    }

    void apply() const { wall->apply({routed_pod.rules, bridge_pod.rules}); }
};

} // namespace

TEST_CASE("where iptables drops, pods' traffic passes and nobody else's") {
    Traffic world;
    world.apply();
    CHECK(world.open() == "bBrRsS");
    CHECK(shell(world.ns, "nft list tables").find("filter") == std::string::npos);
    (void)after_changes(*world.wall);
    shell(world.ns, "true" + std::string{kDrop});
    const std::string bare = shell(world.ns, "iptables -S; ip6tables -S");
    CHECK(world.open() == "");
    CHECK(after_changes(*world.wall).size() == 1); // told by the kernel
    CHECK(world.open() == "bBrR");
    CHECK(world.wall->forward_problems().empty());
    // Bridged frames go through the chain as well where br_netfilter is loaded.
    const TestPod neighbour = world.bridged(3);
    world.wall->set_port(neighbour.rules);
    CHECK(Traffic::pings(neighbour.ns, "10.32.0.2"));
    CHECK(Traffic::pings(neighbour.ns, "fd32::2"));
    // From outside, too.
    const os::UdpSocket client = udp_in(world.outside, "192.0.2.2");
    const os::UdpSocket server = udp_in(world.routed_pod.ns, "10.32.0.30");
    CHECK(sent_by(client, server.local(), server, kLong) == client.local());

    // iptables goes on, and knows what it sees.
    const std::string full = shell(world.ns, "iptables -S");
    CHECK(full.find("-A FORWARD -m comment --comment weavemesh -j WEAVE-FORWARD\n") !=
          std::string::npos);
    CHECK(full.find("-A WEAVE-FORWARD -o wv+ -j ACCEPT\n") != std::string::npos);
    shell(world.ns,
          "iptables-save >/dev/shm/weave-firewall-test; iptables-restore "
          "</dev/shm/weave-firewall-test; rm /dev/shm/weave-firewall-test");
    CHECK(shell(world.ns, "iptables -S") == full);
    (void)after_changes(*world.wall);
    CHECK(shell(world.ns, "iptables -S") == full); // not a second time

    for (const std::string damage : {"iptables -F",
                                     "iptables -F WEAVE-FORWARD",
                                     "iptables -F FORWARD",
                                     "ip6tables -D WEAVE-FORWARD 2"}) {
        CAPTURE(damage);
        shell(world.ns, damage);
        CHECK(after_changes(*world.wall).size() == 1);
        CHECK(world.open() == "bBrR");
        CHECK(after_changes(*world.wall).empty());
    }
    world.wall->remove();
    CHECK(shell(world.ns, "iptables -S; ip6tables -S") == bare);
}

TEST_CASE("Docker's place for others' rules is used, and ufw's") {
    struct Tool {
        const char* setup;
        const char* rule;
    };

    for (const Tool& tool :
         {Tool{"for i in iptables ip6tables; do $i -N DOCKER-USER; $i -A DOCKER-USER -j RETURN; "
               "$i -I FORWARD -j DOCKER-USER; done",
               "-A DOCKER-USER -m comment --comment weavemesh -j WEAVE-FORWARD\n"},
          Tool{"for i in iptables:ufw ip6tables:ufw6; do p=${i#*:}; i=${i%:*}; $i -N "
               "$p-user-forward; "
               "$i -N $p-before-forward; $i -A $p-before-forward -j $p-user-forward; "
               "$i -A FORWARD -j $p-before-forward; done",
               "-A ufw-user-forward -m comment --comment weavemesh -j WEAVE-FORWARD\n"}}) {
        CAPTURE(tool.setup);
        Traffic world;
        shell(world.ns, tool.setup + std::string{kDrop});
        const std::string bare = shell(world.ns, "iptables -S; ip6tables -S");
        world.apply();
        CHECK(world.open() == "bBrR");
        const std::string rules = shell(world.ns, "iptables -S");
        CHECK(rules.find(tool.rule) != std::string::npos);
        CHECK(rules.find("-A FORWARD -m comment --comment weavemesh") == std::string::npos);
        world.wall->remove();
        CHECK(shell(world.ns, "iptables -S; ip6tables -S") == bare);
    }
}

TEST_CASE("a last rule that rejects counts as a policy does") {
    Traffic world;
    shell(world.ns,
          "iptables -A FORWARD -p tcp --dport 9 -j DROP; iptables -A FORWARD -m comment --comment "
          "'all else' -j REJECT");
    world.apply();
    CHECK(world.open() == "bBrRS");
}

TEST_CASE("what is put before our rule and drops everything goes behind it") {
    Traffic world;
    world.apply();
    shell(world.ns, "true" + std::string{kDrop});
    (void)after_changes(*world.wall);
    CHECK(world.open() == "bBrR");
    shell(world.ns, "iptables -I FORWARD 1 -j DROP; ip6tables -I FORWARD 1 -j DROP");
    CHECK(world.open() == "");
    (void)after_changes(*world.wall);
    CHECK(world.open() == "bBrR");
    CHECK(shell(world.ns, "iptables -S FORWARD | grep -c WEAVE-FORWARD") == "1\n");
}

TEST_CASE("the legacy iptables is changed with its own program") {
    Traffic world;
    shell(world.ns,
          "iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP; iptables-legacy -N "
          "DOCKER-USER; iptables-legacy -A FORWARD -j DOCKER-USER");
    const std::string bare = shell(world.ns, "iptables-legacy -S; ip6tables-legacy -S");
    CHECK(world.open() == "");
    world.apply();
    CHECK(world.wall->forward_problems().empty());
    CHECK(world.open() == "bBrR");
    const std::string rules = shell(world.ns, "iptables-legacy -S");
    CHECK(rules.find("-A DOCKER-USER -m comment --comment weavemesh -j WEAVE-FORWARD\n") !=
          std::string::npos);
    CHECK(world.wall->check().empty());
    shell(world.ns, "iptables-legacy -F DOCKER-USER");
    CHECK(world.wall->check().size() == 1); // nobody tells us of that
    CHECK(shell(world.ns, "iptables-legacy -S") == rules);
    world.wall->remove();
    CHECK(shell(world.ns, "iptables-legacy -S; ip6tables-legacy -S") == bare);
}

TEST_CASE("whoever else drops is named, with what to do") {
    Traffic world;
    shell(
        world.ns,
        "nft 'add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook "
        "forward priority 10; }; add rule inet firewalld filter_FORWARD ct state established "
        "accept; "
        "add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited'");
    shell(
        world.ns,
        "nft 'add table inet mine; add chain inet mine forward { type filter hook forward priority "
        "0; policy drop; }; add table ip quiet; add chain ip quiet forward { type filter hook "
        "forward priority 0; }; add rule ip quiet forward tcp dport 9 drop'");
    world.apply();
    const auto& problems = world.wall->forward_problems();
    REQUIRE(problems.size() == 2);
    CHECK(problems[0].starts_with("table inet firewalld chain filter_FORWARD drops pods' forwarded "
                                  "traffic: run 'firewall-cmd"));
    CHECK(problems[1].starts_with(
        "table inet mine chain forward drops pods' forwarded traffic: add"));
    CHECK(problems[1].find("'iifname { \"weave\", \"wv*\" } accept'") != std::string::npos);
    // What the sentences say helps.
    (void)after_changes(*world.wall);
    shell(world.ns,
          "nft 'add rule inet mine forward iifname { \"weave\", \"wv*\" } accept; "
          "add rule inet mine forward oifname { \"weave\", \"wv*\" } accept; "
          "insert rule inet firewalld filter_FORWARD iifname { \"weave\", \"wv*\" } accept; "
          "insert rule inet firewalld filter_FORWARD oifname { \"weave\", \"wv*\" } accept'");
    (void)after_changes(*world.wall);
    world.wall->check();
    CHECK(world.wall->forward_problems().empty());
    CHECK(world.open() == "bBrR");
}

namespace {

/**
 * A firewall-cmd of this test's own in /usr/sbin, as this thread sees it: in its own mount
 * namespace a folder of links to what is there lies over it. What it is told is in calls(); its
 * runtime and permanent zones are files, and it makes rules as firewalld does.
 */
class FakeFirewalld {
  public:
    explicit FakeFirewalld(const os::UniqueFd& ns)
        : ns_(ns) {
        shell(ns_, "mkdir " + folder_);
        std::ofstream{folder_ + "/firewall-cmd"} << R"(#!/bin/sh
cd )" + folder_ + R"(
echo "$*" >>calls
permanent=
for word; do
    case $word in
    --state) [ -e state ] && cat state && exit 0; echo "not running"; exit 252 ;;
    --permanent) permanent=1 ;;
    --get-zone-of-interface=*)
        [ -z "$permanent" ] || { grep -qxF -e "${word#*=}" permanent 2>/dev/null && echo trusted && exit 0; exit 2; }
        grep -qxF -e "${word#*=}" runtime && echo trusted && exit 0; echo "no zone"; exit 2 ;;
    --change-interface=*)
        [ ! -e refuse ] || { echo "Error: ALREADY_BAD"; exit 13; }
        echo "${word#*=}" >>runtime
        name=$(echo "${word#*=}" | tr + '*')
        nft "insert rule inet firewalld filter_FORWARD iifname \"$name\" accept"
        nft "insert rule inet firewalld filter_FORWARD oifname \"$name\" accept" ;;
    --remove-interface=*)
        grep -vxF -e "${word#*=}" runtime >left; mv left runtime ;;
    esac
done
)";
        shell(ns_,
              "cd " + folder_ +
                  "; touch runtime calls; chmod 755 firewall-cmd; echo running >state; mkdir "
                  "sbin real");
    }

    ~FakeFirewalld() { shell(ns_, "rm -r --one-file-system " + folder_); }

    FakeFirewalld(const FakeFirewalld&) = delete;
    FakeFirewalld& operator=(const FakeFirewalld&) = delete;

    /** On a thread whose mounts are its own, as the program's folder is. */
    void with_program(const std::function<void()>& work) const {
        std::exception_ptr failure;
        std::thread{[&] {
            try {
                REQUIRE(::unshare(CLONE_NEWNS) == 0);
                shell(ns_,
                      "set -e; mount --make-rprivate /; cd " + folder_ +
                          "; mount --bind /usr/sbin real; for i in "
                          "real/*; do ln -s " +
                          folder_ +
                          "/$i sbin; done; cp firewall-cmd sbin; "
                          "mount --bind sbin /usr/sbin");
                work();
            } catch (...) {
                failure = std::current_exception();
            }
        }}.join();
        shell(ns_, "rm -f " + folder_ + "/sbin/*");
        if (failure) {
            std::rethrow_exception(failure);
        }
    }

    [[nodiscard]] std::string file(const std::string& name) const {
        return shell(ns_, "cat " + folder_ + '/' + name);
    }

    void run(const std::string& command) const { shell(ns_, "cd " + folder_ + "; " + command); }

  private:
    const os::UniqueFd& ns_;
    std::string folder_ = "/tmp/weave-firewalld." + std::to_string(::getpid());
};

constexpr const char* kFirewalld =
    "nft 'add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook "
    "forward priority 10; }; flush chain inet firewalld filter_FORWARD; "
    "add rule inet firewalld filter_FORWARD ct state established accept; "
    "add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited'";

} // namespace

TEST_CASE("firewalld is told to trust our interfaces, once and again after it reloads") {
    Traffic world;
    shell(world.ns, kFirewalld);
    const FakeFirewalld firewalld(world.ns);
    CHECK(world.open() == "");
    firewalld.with_program([&] {
        world.apply();
        CHECK(world.wall->forward_problems().empty());
        CHECK(firewalld.file("calls") == "--state\n--zone=trusted --change-interface=wv+\n"
                                         "--zone=trusted --change-interface=weave\n");
        (void)after_changes(*world.wall);
        CHECK(world.wall->check().empty()); // and not a second time
        CHECK(firewalld.file("runtime") == "wv+\nweave\n");
        // While it reloads, for a moment.
        shell(world.ns,
              "nft 'add table inet firewalld_policy_drop; add chain inet firewalld_policy_drop "
              "filter_forward { type filter hook forward priority 9; policy drop; }'");
        (void)after_changes(*world.wall);
        CHECK(world.wall->forward_problems().empty());
        shell(world.ns, "nft delete table inet firewalld_policy_drop");
        CHECK(world.open() == "bBrR");
        // It reloads and has forgotten.
        firewalld.run("echo >runtime");
        shell(world.ns, kFirewalld);
        CHECK(after_changes(*world.wall).size() == 1); // told by the kernel
        CHECK(world.open() == "bBrR");

        world.wall->remove();
        CHECK(firewalld.file("runtime") == "\n");
    });
}

TEST_CASE("what firewalld's owner has put into the permanent configuration stays at a removal") {
    Traffic world;
    shell(world.ns, kFirewalld);
    const FakeFirewalld firewalld(world.ns);
    firewalld.with_program([&] {
        world.apply();
        firewalld.run("echo weave >permanent");
        world.wall->remove();
        CHECK(firewalld.file("runtime") == "weave\n");
    });
}

TEST_CASE("a firewalld that does not run, or refuses, is named, and not asked at each change") {
    for (const std::string trouble : {"rm state", "touch refuse"}) {
        CAPTURE(trouble);
        Traffic world;
        shell(world.ns, kFirewalld);
        const FakeFirewalld firewalld(world.ns);
        firewalld.run(trouble);
        firewalld.with_program([&] {
            world.apply();
            REQUIRE(world.wall->forward_problems().size() == 1);
            const std::string problem = world.wall->forward_problems()[0];
            CHECK(problem.starts_with("table inet firewalld chain filter_FORWARD drops pods' "
                                      "forwarded traffic: run 'firewall-cmd"));
            CHECK(problem.ends_with(trouble == "rm state"
                                        ? "we could not: firewalld says 'not running'"
                                        : "we could not: firewalld says 'Error: ALREADY_BAD'"));
            const std::string calls = firewalld.file("calls");
            world.wall->check();
            CHECK(firewalld.file("calls") == calls);
            CHECK(world.wall->forward_problems() == std::vector{problem});
            world.wall->remove();
        });
    }
}

TEST_CASE("the rules of routers whose bridge is gone are removed, others' are not") {
    FirewallWorld world;
    const auto rules_of = [&](const std::string& name) {
        FirewallSettings settings = world.settings();
        settings.table = name;
        settings.bridge = name;
        world.firewall(settings)->apply({});
    };
    const auto tables = [&] { return shell(world.ns, "nft list tables"); };
    shell(world.ns,
          "iptables -P FORWARD DROP; ip link add other type bridge; "
          "nft 'add table inet gone; add counter inet gone spoofed_mac'");
    const std::string before = tables();
    const std::string bare = shell(world.ns, "iptables -S");
    for (const char* name : {"weave", "earlier", "other"}) {
        rules_of(name);
    }
    const auto remove = [&](const std::string& bridge) {
        os::run_in_netns(world.ns.get(), [&] { remove_firewalls(bridge); });
    };
    remove("weave");
    const std::string after = tables();
    CHECK(after.find("weave") == std::string::npos);
    CHECK(after.find("earlier") == std::string::npos);
    CHECK(after.find("table inet other") != std::string::npos); // its bridge is there
    CHECK(after.find("table inet gone") != std::string::npos);  // not of our making
    CHECK(shell(world.ns, "iptables -S").find("WEAVE-FORWARD") == std::string::npos);
    remove("other");
    CHECK(tables() == before);
    CHECK(shell(world.ns, "iptables -S") == bare);
    remove("other"); // nothing there
}

TEST_CASE("the rules of a bridge on which a router works are not removed") {
    FirewallWorld world;
    world.firewall(world.settings())->apply({});
    const auto remove = [&] {
        os::run_in_netns(world.ns.get(), [&] { remove_firewalls("weave"); });
    };
    {
        const os::Tap tap = world.host->ensure_tap(1);
        CHECK_THROWS_WITH_AS(
            remove(), "a weaved works on the bridge weave: stop it first", std::system_error);
        CHECK(shell(world.ns, "nft list tables").find("inet weave") != std::string::npos);
    }
    remove();
    CHECK(shell(world.ns, "nft list tables").find("inet weave") == std::string::npos);
}
