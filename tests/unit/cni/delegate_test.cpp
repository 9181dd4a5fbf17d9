// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "calls.hpp"
#include "cni/attach_plugin.hpp"
#include "cni/delegate.hpp"
#include "cni/errors.hpp"

#include <doctest/doctest.h>

using namespace weave;
using namespace weave::test;
using cni::Failure;

namespace {

/** Plugins in a folder, as AttachPlugin finds them. */
struct Scene {
    cni::AttachPlugin plugin{kShort};
    Calls calls{plugin};

    cni::Delegate delegate(const std::string& type, std::chrono::milliseconds timeout = 5000ms) {
        cni::Environment environment;
        environment.path = {"/nowhere", calls.folder.path};
        return {type, environment, R"({"name":"weave"})", timeout};
    }
};

template <class Work> Failure failure_of(const Work& work) {
    try {
        work();
    } catch (const Failure& failure) {
        return failure;
    }
    return {0U, "no failure"};
}

bool has(const Failure& failure, const char* part) {
    return std::string(failure.what()).find(part) != std::string::npos;
}

} // namespace

TEST_CASE("delegate: gets the configuration and the verb, and gives a result of any version") {
    Scene scene;
    scene.calls.write_plugin("ipam",
                             "cat >${0%/*}/input; echo $CNI_COMMAND >${0%/*}/verb\n"
                             R"(echo '{"cniVersion":"0.3.1","ips":[{"version":"4",)"
                             R"("address":"10.1.0.2/16"}]}')");
    const cni::Result result = scene.delegate("ipam").add();
    REQUIRE(result.ips.size() == 1);
    CHECK(result.ips[0].address.text() == "10.1.0.2/16");
    CHECK(scene.calls.read("input") == R"({"name":"weave"})");
    CHECK(scene.calls.read("verb") == "ADD\n");
    scene.delegate("ipam").call("DEL");
    CHECK(scene.calls.read("verb") == "DEL\n");
}

TEST_CASE("delegate: one that is not there, or no name of one") {
    Scene scene;
    const Failure missing = failure_of([&] { scene.delegate("host-local"); });
    CHECK(missing.code() == 100);
    CHECK(has(missing, "host-local"));
    CHECK(has(missing, "/nowhere"));
    CHECK(failure_of([&] { scene.delegate("../bin/sh"); }).code() == 7);
    CHECK(failure_of([&] { scene.delegate(".."); }).code() == 7);
}

TEST_CASE("delegate: its error is told with its code") {
    Scene scene;
    scene.calls.write_plugin("ipam",
                             R"(echo '{"code":11,"msg":"none left","details":"d"}'; exit 1)");
    const Failure failure = failure_of([&] { scene.delegate("ipam").add(); });
    CHECK(failure.code() == 11);
    CHECK(has(failure, "'ipam' failed: none left"));
    CHECK(failure.details() == "d");
}

TEST_CASE("delegate: answers that cannot be used") {
    Scene scene;
    for (const char* script : {"echo nothing",
                               "echo '{}'",
                               R"(echo '{"ips":[{"address":"10.1.0.2"}]}')",
                               R"(echo '{"cniVersion":"7.0.0","ips":[]}')",
                               "exit 3",
                               "echo '{\"msg\":5}'; exit 3",
                               "kill -9 $$",
                               "head -c 1100000 /dev/zero"}) {
        scene.calls.write_plugin("ipam", script);
        CHECK_MESSAGE(failure_of([&] { scene.delegate("ipam").add(); }).code() == 100, script);
    }
    scene.calls.write_plugin("no-program", "");
    std::ofstream(scene.calls.folder.path + "/no-program") << "\x7f"
                                                              "ELF";
    CHECK(failure_of([&] { scene.delegate("no-program").add(); }).code() == 100);
}

TEST_CASE("delegate: one that hangs is ended") {
    Scene scene;
    scene.calls.write_plugin("ipam", "echo $$ >${0%/*}/pid; exec sleep 100");
    const auto begin = std::chrono::steady_clock::now();
    CHECK(has(failure_of([&] { scene.delegate("ipam", 1000ms).call("DEL"); }),
              "did not end within 1 s"));
    CHECK(std::chrono::steady_clock::now() - begin < 10s);
    CHECK(::kill(std::stoi(scene.calls.read("pid")), 0) != 0);
}

TEST_CASE("delegate: what it leaves running does not hold us up") {
    Scene scene;
    scene.calls.write_plugin("ipam", "sleep 3 & echo $! >${0%/*}/pid; echo done");
    const auto begin = std::chrono::steady_clock::now();
    scene.delegate("ipam").call("DEL");
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
    ::kill(std::stoi(scene.calls.read("pid")), SIGKILL);
}

TEST_CASE("delegate: a configuration longer than a pipe, which it does not read") {
    Scene scene;
    scene.calls.write_plugin("ipam", "exit 0");
    cni::run_program(scene.calls.folder.path + "/ipam", std::string(1U << 20, ' '), "DEL", 5000ms);
}

TEST_CASE("DEL and GC: the other plugin is asked, whatever became of weaved") {
    Scene scene;
    scene.calls.write_plugin("ipam", "echo $CNI_COMMAND >>${0%/*}/verbs");
    const json delegated{{"ipam", {{"type", "ipam"}}}};
    CHECK(scene.calls("DEL", delegated).is_null());
    CHECK(scene.calls.tombstones().size() == 1);
    json config = delegated;
    config["cni.dev/valid-attachments"] = json::array();
    CHECK(scene.calls("GC", config).at("code") == 11);
    CHECK(scene.calls.read("verbs") == "DEL\nGC\n");
    scene.calls.write_plugin("ipam", R"(echo '{"code":7,"msg":"bad"}'; exit 1)");
    FakeWeaved weaved(scene.calls.socket());
    CHECK(scene.calls("DEL", delegated).at("code") == 7);
    CHECK(weaved.methods().front() == "detach");
    const json answer = scene.calls("STATUS", delegated);
    CHECK(answer.at("code") == 50);
    CHECK(answer.at("msg").get<std::string>().find("bad") != std::string::npos);
    scene.calls.write_plugin("ipam", R"(echo '{"code":51,"msg":"bad"}'; exit 1)");
    CHECK(scene.calls("STATUS", delegated).at("code") == 51);
    CHECK(scene.calls("STATUS", {{"ipam", {{"type", "nobody"}}}}).at("code") == 50);
}

TEST_CASE("STATUS: the other plugin's addresses count, not those of weaved") {
    Scene scene;
    scene.calls.write_plugin("ipam", "exit 0");
    const json delegated{{"ipam", {{"type", "ipam"}}}};
    CHECK(scene.calls("STATUS", delegated).at("code") == 50); // no weaved
    FakeWeaved weaved(scene.calls.socket());
    weaved.answer("ready", [](api::Request&) {
        return api::Reply::ok({{"ready", false}, {"reason", "no address is free"}});
    });
    CHECK(scene.calls("STATUS").at("code") == 50);
    CHECK(scene.calls("STATUS", delegated).is_null());
}
