// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// What a container runtime says to the CNI plugins: CNI_ARGS and the configuration on the standard
// input, with the result of earlier plugins in it. The first byte picks the verb.
#include "cni/config.hpp"
#include "cni/errors.hpp"
#include "target.hpp"

#include <array>
#include <string>

namespace weave::fuzz {
namespace {

using namespace weave::cni;
using nlohmann::json;

std::string text_of(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/** What refuses says why, in a code of the specification. */
template <class Work> bool accepts(const Work& work) {
    try {
        work();
        return true;
    } catch (const Failure& failure) {
        FUZZ_CHECK(failure.code() >= 1 && failure.code() <= 7 && *failure.what() != '\0');
        return false;
    }
}

/** What a version can say survives being said in it. */
void check_result(const Result& result) {
    for (const std::string_view text : kSpecVersions) {
        const json once = render(result, *parse_version(text));
        FUZZ_CHECK(render(parse_result(once), *parse_version(text)) == once);
    }
    const Result twice = append(result, result);
    FUZZ_CHECK(twice.ips.size() == 2 * result.ips.size());
    for (const Ip& ip : twice.ips) {
        FUZZ_CHECK(!ip.interface || *ip.interface < twice.interfaces.size());
    }
}

void check_config(const json& in, const Environment& environment) {
    NetworkConfig config;
    if (accepts([&] { config = read_config(in, environment); })) {
        FUZZ_CHECK(is_name(config.name));
        for (const std::string& address : config.addresses) {
            const bool plain = Prefix::parse(address).has_value();
            const bool named = address.starts_with("net:") || address.starts_with("ip:");
            FUZZ_CHECK(plain || named);
        }
        if (config.previous) {
            check_result(*config.previous);
        }
    }
    LinkConfig link;
    if (accepts([&] { link = read_link_config(in, environment); })) {
        FUZZ_CHECK(link.mode == "bridge" || link.mode == "routed");
        FUZZ_CHECK(link.mac.empty() || !MacAddress::parse(link.mac).value().is_group());
    }
    accepts([&] { read_valid_attachments(in); });
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    constexpr std::array kVerbs{Verb::add, Verb::del, Verb::check, Verb::status, Verb::gc};
    Input input({data, size});
    Environment environment;
    environment.verb = kVerbs.at(input.u8() % kVerbs.size());
    environment.args = text_of(input.short_part());
    const json in = json::parse(text_of(input.rest()), nullptr, /*allow_exceptions=*/false);
    if (in.is_object()) {
        check_config(in, environment);
    }
    return 0;
}
