// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace weave::daemon;

namespace {

CommandLine parse(std::vector<std::string> words) {
    words.insert(words.begin(), "weaved");
    std::vector<char*> arguments;
    for (std::string& word : words) {
        arguments.push_back(word.data());
    }
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

} // namespace

TEST_CASE("options and peers are read") {
    const CommandLine line = parse({"--port=7000",
                                    "--name",
                                    "one",
                                    "--advertise",
                                    "192.0.2.1",
                                    "--advertise",
                                    "[2001:db8::1]:9",
                                    "--log-level=debug",
                                    "192.0.2.2",
                                    "[2001:db8::2]:1",
                                    "2001:db8::3",
                                    "host.example",
                                    "host.example:6783"});
    CHECK_FALSE(line.exit_now);
    CHECK(line.options.port == 7000);
    CHECK(line.options.name == "one");
    CHECK(line.options.advertise == std::vector<std::string>{"192.0.2.1", "[2001:db8::1]:9"});
    CHECK(line.options.peers.size() == 5);
    CHECK(line.options.mtu == 0);
}

TEST_CASE("an option weaved does not know, or one without its value, ends it with status 2") {
    for (const std::vector<std::string>& words : {
             std::vector<std::string>{"--nonsense"},
             {"--name"},
             {"--name=a", "--name=b"},
         }) {
        CAPTURE(words.front());
        const CommandLine line = parse(words);
        CHECK(line.exit_now);
        CHECK(line.exit_code == 2);
    }
}

TEST_CASE("the ends of a number's range, and 0 where it stands for the default") {
    for (const std::string word : {"--port=1",
                                   "--port=65535",
                                   "--http-port=0",
                                   "--mtu=0",
                                   "--mtu=1280",
                                   "--mtu=65000",
                                   "--lanes=0",
                                   "--lanes=64"}) {
        CAPTURE(word);
        CHECK_NOTHROW(static_cast<void>(parse({word})));
    }
    CHECK_THROWS_WITH_AS(static_cast<void>(parse({"--mtu=99999"})),
                         "--mtu '99999' is not a number from 1280 to 65000, or 0",
                         ConfigError);
}

TEST_CASE("a switch's environment variable is true or false") {
    for (const auto& [text, on] : {std::pair{"true", true}, {"false", false}}) {
        REQUIRE(::setenv("WEAVE_STRICT_NAMES", text, 1) == 0);
        CHECK(parse({}).options.strict_names == on);
    }
    REQUIRE(::setenv("WEAVE_STRICT_NAMES", "maybe", 1) == 0);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse({})),
                         "a switch's environment variable is true or false: --strict-names = maybe",
                         ConfigError);
    ::unsetenv("WEAVE_STRICT_NAMES");
}

TEST_CASE("several values in one text") {
    const std::vector<std::string> both{"192.0.2.1", "::1"};
    for (const std::string word :
         {"--listen=192.0.2.1,::1", "--listen=192.0.2.1 ::1", "--listen= 192.0.2.1, ::1,"}) {
        CAPTURE(word);
        CHECK(parse({word}).options.listen == both);
    }
    REQUIRE(::setenv("WEAVE_ADVERTISE", "192.0.2.1,::1", 1) == 0);
    const CommandLine line = parse({});
    ::unsetenv("WEAVE_ADVERTISE");
    CHECK(line.options.advertise == both);
    CHECK_THROWS_AS(static_cast<void>(parse({"--listen=,"})), ConfigError);
}

TEST_CASE("a value that cannot work is named") {
    for (const std::string word : {"--port=0",
                                   "--port=abc",
                                   "--port=65536",
                                   "--http-port=-1",
                                   "--mtu=1279",
                                   "--mtu=1376.5",
                                   "--mtu=65001",
                                   "--lanes=65",
                                   "--lanes=-1",
                                   "--listen=nowhere",
                                   "--advertise=::::1",
                                   "--advertise=0.0.0.0",
                                   "--advertise=[fe80::1]:6783",
                                   "--advertise=224.0.0.1",
                                   "--ipalloc-range=10.32.0.0",
                                   "--bridge=averyverylongname",
                                   "--tap=a/b",
                                   "--tap=weave",
                                   "--log-level=loud",
                                   "--cipher-provider=OpenSSL"}) {
        CAPTURE(word);
        const std::string flag = word.substr(0, word.find('='));
        CHECK_THROWS_WITH_AS(
            static_cast<void>(parse({word})), doctest::Contains(flag.c_str()), ConfigError);
    }
    for (const std::string word : {"",
                                   " ",
                                   "a b",
                                   "a\nb",
                                   "host:",
                                   "host:0",
                                   "host:65536",
                                   ":1",
                                   "192.0.2.1:99999",
                                   "10.0.0.256",
                                   "12345",
                                   "[::1"}) {
        CAPTURE(word);
        CHECK_THROWS_WITH_AS(
            static_cast<void>(parse({word})), doctest::Contains("is not a peer"), ConfigError);
    }
}

TEST_CASE("a range of a size that cannot be is told by which end it is off") {
    CHECK_THROWS_WITH_AS(static_cast<void>(parse({"--ipalloc-range=10.32.0.0/31"})),
                         "--ipalloc-range 10.32.0.0/31 is too small, it has fewer than 4 "
                         "addresses: give one of length 30 or shorter",
                         ConfigError);
    CHECK_THROWS_WITH_AS(static_cast<void>(parse({"--ipalloc-range=10.0.0.0/7"})),
                         "--ipalloc-range 10.0.0.0/7 is too large, it has more than 2^24 "
                         "addresses: give one of length 8 or longer",
                         ConfigError);
    CHECK(parse({"--ipalloc-range=10.32.0.0/30"}).options.ipalloc_range == "10.32.0.0/30");
    CHECK(parse({"--ipalloc-range=10.0.0.0/8"}).options.ipalloc_range == "10.0.0.0/8");
}

TEST_CASE("an address at which no host can be is no peer") {
    for (const std::string word :
         {"0.0.0.0", "[::]:6783", "224.0.0.1", "ff02::1", "255.255.255.255", "fe80::1"}) {
        CAPTURE(word);
        CHECK_THROWS_WITH_AS(static_cast<void>(parse({word})),
                             doctest::Contains("give the address of one host"),
                             ConfigError);
    }
}

TEST_CASE("--check-options looks, and does no more") {
    const CommandLine line = parse({"--check-options", "--port=7000"});
    CHECK(line.exit_now);
    CHECK(line.exit_code == 0);
    CHECK_THROWS_AS(static_cast<void>(parse({"--check-options", "--port=0"})), ConfigError);
}

TEST_CASE("the reference names each option once, in both formats") {
    const std::string man = option_reference("man");
    const std::string markdown = option_reference("markdown");
    for (const std::string flag : {"--port", "--state-dir", "--metrics-listen"}) {
        CHECK(markdown.find("`" + flag + " ") != std::string::npos);
        CHECK(man.find("\\fB" + flag + "\\fR") != std::string::npos);
    }
    CHECK(markdown.find("check-options") == std::string::npos);
}
