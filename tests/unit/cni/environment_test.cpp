// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/environment.hpp"
#include "cni/errors.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace weave::cni;

namespace {

using Map = std::map<std::string, std::string>;

Map pod_variables(const std::string& command) {
    return {{"CNI_COMMAND", command},
            {"CNI_CONTAINERID", "c1"},
            {"CNI_NETNS", "/run/netns/c1"},
            {"CNI_IFNAME", "eth0"},
            {"CNI_PATH", "/opt/cni/bin:/usr/lib/cni"}};
}

Environment read(const Map& variables) {
    return read_environment([&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string{} : found->second;
    });
}

/** The sentence of the refusal; empty when there is none. */
std::string refusal(const Map& variables) {
    try {
        read(variables);
    } catch (const Failure& failure) {
        CHECK(failure.code() == 4);
        return failure.what();
    }
    return {};
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("environment: a whole one is read") {
    const Environment all = read(pod_variables("ADD"));
    CHECK(all.verb == Verb::add);
    CHECK(all.container_id == "c1");
    CHECK(all.netns == "/run/netns/c1");
    CHECK(all.ifname == "eth0");
    CHECK(all.path == std::vector<std::string>{"/opt/cni/bin", "/usr/lib/cni"});
}

TEST_CASE("environment: every missing variable is named") {
    for (const char* command : {"ADD", "CHECK"}) {
        const std::string said = refusal({{"CNI_COMMAND", command}});
        for (const char* name : {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"}) {
            CHECK_MESSAGE(has(said, name), command, " says ", said);
        }
    }
    const std::string del = refusal({{"CNI_COMMAND", "DEL"}, {"CNI_IFNAME", "eth0"}});
    CHECK(has(del, "CNI_CONTAINERID"));
    CHECK(has(del, "CNI_PATH"));
    CHECK_FALSE(has(del, "CNI_NETNS"));
    CHECK_FALSE(has(del, "CNI_IFNAME"));
    for (const char* command : {"STATUS", "GC"}) {
        const std::string said = refusal({{"CNI_COMMAND", command}});
        CHECK(has(said, "CNI_PATH"));
        CHECK_FALSE(has(said, "CNI_CONTAINERID"));
    }
    CHECK(has(refusal({}), "CNI_COMMAND"));
    CHECK(has(refusal({{"CNI_COMMAND", "add"}}), "CNI_COMMAND 'add'"));
}

TEST_CASE("environment: DEL goes without a namespace") {
    Map variables = pod_variables("DEL");
    variables.erase("CNI_NETNS");
    CHECK(read(variables).netns.empty());
}

TEST_CASE("environment: VERSION looks at nothing") {
    CHECK(read({{"CNI_COMMAND", "VERSION"},
                {"CNI_IFNAME", "a name / that no interface can have"},
                {"CNI_CONTAINERID", "-"}})
              .verb == Verb::version);
}

TEST_CASE("environment: names that cannot be") {
    for (const char* id : {"-c1", "a/b", "a b", ".a", "a,b", "\xc3\xa4"}) {
        Map variables = pod_variables("DEL");
        variables["CNI_CONTAINERID"] = id;
        CHECK_MESSAGE(has(refusal(variables), "CNI_CONTAINERID"), id);
    }
    for (const char* name : {"a/b", "a:b", "a b", ".", "..", "sixteen-letters1", "a\tb"}) {
        Map variables = pod_variables("DEL");
        variables["CNI_IFNAME"] = name;
        CHECK_MESSAGE(has(refusal(variables), "CNI_IFNAME"), name);
    }
    for (const char* name : {"e", "fifteen-letters", "a.b", "a,b@c"}) {
        Map variables = pod_variables("DEL");
        variables["CNI_IFNAME"] = name;
        CHECK(refusal(variables).empty());
    }
}

TEST_CASE("environment: arguments in any order, of which two are for us") {
    // As kubelet sends them, whose order is that of a Go map.
    const std::string a =
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=x;IP=10.32.0.5,fd00::5/64;K8S_POD_UID=u";
    const std::string b =
        "K8S_POD_UID=u;MAC=02:11:22:33:44:55;IP=10.32.0.5,fd00::5/64;IgnoreUnknown=1";
    CHECK(read_arguments(a).addresses == std::vector<std::string>{"10.32.0.5", "fd00::5/64"});
    CHECK(read_arguments(b).addresses == read_arguments(a).addresses);
    CHECK(read_arguments(b).mac == "02:11:22:33:44:55");
    CHECK(read_arguments("").addresses.empty());
    CHECK(read_arguments(";IP=;").addresses.empty());
    CHECK(read_arguments("K8S_POD_NAME=a=b").mac.empty());
    for (const char* bad : {"IP", "=x", "a=b;;c"}) {
        CHECK_THROWS_AS(read_arguments(bad), Failure);
    }
}
