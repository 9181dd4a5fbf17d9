// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.hpp"

#include "base/address.hpp"
#include "base/version.hpp"
#include "crypto/suite.hpp"
#include "crypto/transport_keys.hpp"
#include "ipam/plan.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weave::daemon {
namespace {

constexpr const char* kTakeover = "--takeover";
constexpr const char* kRemoveFirewall = "--remove-firewall";
constexpr std::size_t kMaxHostName = 253; // DNS

constexpr std::uint16_t kMostLanes = crypto::kMaxLanes;

/** What a number may be. */
struct Bounds {
    std::string_view flag;
    std::uint16_t least;
    std::uint16_t most;
    bool or_zero;
};

constexpr std::array kBounds{
    Bounds{"--port", 1, 65535, false},
    Bounds{"--http-port", 1, 65535, true},
    Bounds{"--mtu", 1280, 65000, true}, // IPv6 needs 1280, a record holds 65000
    Bounds{"--lanes", 1, kMostLanes, true},
    Bounds{"--grace", 10, 3600, false},
    Bounds{"--ipalloc-lease", 10, 65535, false},
    Bounds{"--ipalloc-rest", 1, 65535, true},
};

/** Before the text is converted, as "could not convert" helps nobody. */
void check_number(const Bounds& bounds, const std::string& text) {
    std::uint16_t number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    const bool good = parsed.ec == std::errc{} && parsed.ptr == end;
    if (good &&
        ((number >= bounds.least && number <= bounds.most) || (number == 0 && bounds.or_zero))) {
        return;
    }
    throw ConfigError(fmt::format("{} '{}' is not a number from {} to {}{}",
                                  bounds.flag,
                                  text,
                                  bounds.least,
                                  bounds.most,
                                  bounds.or_zero ? ", or 0" : ""));
}

void expect_number(CLI::Option& option, std::string_view flag) {
    const Bounds* const bounds = std::ranges::find(kBounds, flag, &Bounds::flag);
    if (bounds == kBounds.end()) {
        throw std::logic_error(fmt::format("{} has no bounds", flag));
    }
    option.check([bounds](const std::string& text) {
        check_number(*bounds, text);
        return std::string{};
    });
}

template <class Field>
void declare(CLI::App& app,
             const char* flag,
             Field& field,
             const char* env,
             const char* value,
             const char* help) {
    if constexpr (std::is_same_v<Field, bool>) {
        app.add_flag(flag, field, help)->envname(env);
    } else {
        // One value each time it is given: what follows is a PEER, not the list's next.
        CLI::Option& option = *app.add_option(flag, field, help)
                                   ->envname(env)
                                   ->type_name(value)
                                   ->allow_extra_args(false);
        if constexpr (!std::is_same_v<Field,
                                      std::vector<std::string>>) { // an empty list shows as []
            option.capture_default_str();
        }
        if constexpr (std::is_same_v<Field, std::uint16_t>) {
            expect_number(option, flag);
        }
    }
}

void declare_options(CLI::App& app, Options& options) {
#define WEAVE_OPTION(field, type, initial, flag, env, value, help)                                 \
    declare(app, flag, options.field, env, value, help);
#include "daemon/options.def.hpp"
#undef WEAVE_OPTION
    app.add_option("PEER",
                   options.peers,
                   "Node to connect to: HOST or ADDRESS, either with :PORT, or [IPV6]:PORT.");
}

/** No variable sets them: they are deeds, not settings. */
void declare_deeds(CLI::App& app, CommandLine& line) {
    app.add_flag(
        kTakeover,
        line.takeover,
        "Go on where the weaved that runs with the same --run-dir stops, with its connections and "
        "keys, so that pods notice nothing; it ends then. Options that both need alike are named "
        "when they differ.");
    app.add_flag(
        kRemoveFirewall,
        line.remove_firewall,
        "Take away the packet filter rules that weaved made on this host, and exit; those of "
        "--bridge, and of bridges that are gone.");
}

/** One text may give several values: an environment variable cannot be repeated. */
template <class Field> void split_list([[maybe_unused]] Field& field) {
    if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
        constexpr const char* kBetween = ", ";
        Field out;
        for (const std::string& text : field) {
            std::size_t at = text.find_first_not_of(kBetween);
            if (at == std::string::npos) {
                out.push_back(text); // to be refused by its name
            }
            while (at != std::string::npos) {
                const std::size_t end = std::min(text.find_first_of(kBetween, at), text.size());
                out.push_back(text.substr(at, end - at));
                at = text.find_first_not_of(kBetween, end);
            }
        }
        field = std::move(out);
    }
}

void split_lists(Options& options) {
#define WEAVE_OPTION(field, type, initial, flag, env, value, help) split_list(options.field);
#include "daemon/options.def.hpp"
#undef WEAVE_OPTION
}

void check_interface_name(const std::string& flag, const std::string& name) {
    if (name.empty() || name.size() > 15 || name.find_first_of("/ \t") != std::string::npos) {
        throw ConfigError(fmt::format("{} '{}' is not an interface name: give 1 to 15 characters "
                                      "without '/' or spaces",
                                      flag,
                                      name));
    }
}

void check_listen(const std::vector<std::string>& addresses) {
    std::array<unsigned, 2> of_family{};
    for (const std::string& text : addresses) {
        const auto address = IpAddress::parse(text);
        if (!address) {
            throw ConfigError(fmt::format("--listen '{}' is not an IP address", text));
        }
        if (++of_family[address->is_v6() ? 1 : 0] > 1) {
            throw ConfigError(
                "--listen takes one address of each family: name one, or none for all addresses");
        }
    }
}

void check_log_level(const std::string& level) {
    if (level != "debug" && level != "info" && level != "warning" && level != "error") {
        throw ConfigError(
            fmt::format("--log-level '{}' is not one of debug, info, warning, error", level));
    }
}

void check_cipher_provider(const std::string& provider) {
    if (provider != kAutomatic && !crypto::provider_named(provider)) {
        throw ConfigError(fmt::format(
            "--cipher-provider '{}' is not one of auto, ipsec-mb, openssl, libsodium", provider));
    }
}

void check_fast_path(const std::string& mode) {
    if (mode != "auto" && mode != "af_xdp" && mode != "off") {
        throw ConfigError(fmt::format("--fast-path '{}' is not one of auto, af_xdp, off", mode));
    }
}

/** Why nobody can be reached at the address; empty when somebody can. */
std::string unreachable_address(const IpAddress& address) {
    if (address.is_unspecified()) {
        return "stands for no host";
    }
    if (address.is_multicast() || address == *IpAddress::parse("255.255.255.255")) {
        return "stands for many hosts";
    }
    if (address.is_v6() && address.is_link_local()) {
        return "is link-local, and on which link it does not say";
    }
    return {};
}

void check_address(const std::string& shown, const IpAddress& address) {
    if (const std::string why = unreachable_address(address); !why.empty()) {
        throw ConfigError(fmt::format("{} {}: give the address of one host", shown, why));
    }
}

void check_advertise(const std::string& text, std::uint16_t port) {
    const auto endpoint = Endpoint::parse(text, port);
    if (!endpoint) {
        throw ConfigError(fmt::format(
            "--advertise '{}' is not an address: write ADDRESS, ADDRESS:PORT or [IPV6]:PORT",
            text));
    }
    check_address(fmt::format("--advertise '{}'", text), endpoint->address);
}

/** An empty text is not given. */
std::optional<Prefix> check_prefix(const char* flag, const std::string& text, const char* example) {
    const auto prefix = Prefix::parse(text);
    if (!prefix && !text.empty()) {
        throw ConfigError(
            fmt::format("{} '{}' is not a prefix: write it as {}", flag, text, example));
    }
    return prefix;
}

/** ipam::Plan refuses both with one sentence. */
void check_range_size(const Prefix& range) {
    constexpr unsigned kShortest = 8;
    constexpr unsigned kLongest = 30;
    if (!range.address.is_v4()) {
        return;
    }
    if (range.length > kLongest) {
        throw ConfigError(fmt::format("--ipalloc-range {} is too small, it has fewer than 4 "
                                      "addresses: give one of length {} or shorter",
                                      range.text(),
                                      kLongest));
    }
    if (range.length < kShortest) {
        throw ConfigError(fmt::format("--ipalloc-range {} is too large, it has more than 2^24 "
                                      "addresses: give one of length {} or longer",
                                      range.text(),
                                      kShortest));
    }
}

void check_ranges(const Options& options) {
    constexpr const char* kExample = "10.32.0.0/12";
    const auto range = check_prefix("--ipalloc-range", options.ipalloc_range, kExample);
    const auto subnet =
        check_prefix("--ipalloc-default-subnet", options.ipalloc_default_subnet, kExample);
    if (!range) {
        throw ConfigError(
            fmt::format("--ipalloc-range is empty: write it as {}, or leave it out", kExample));
    }
    check_range_size(*range);
    try {
        std::ignore = ipam::Plan(*range, subnet);
    } catch (const std::invalid_argument& error) {
        throw ConfigError(fmt::format("--ipalloc-range: {}", error.what()));
    }
    if (options.ipalloc_range6 == "auto" || options.ipalloc_range6 == "off") {
        return;
    }
    const auto range6 = check_prefix("--ipalloc-range6", options.ipalloc_range6, "fd12:3456::/64");
    if (!range6 || !range6->address.is_v6() || 128U - range6->length < 32U - range->length) {
        throw ConfigError(fmt::format("--ipalloc-range6 '{}' is no IPv6 prefix with as many "
                                      "addresses as {}: give a longer part of the address to "
                                      "pods, or 'auto' or 'off'",
                                      options.ipalloc_range6,
                                      range->text()));
    }
}

void check(const Options& options) {
    check_interface_name("--bridge", options.bridge);
    check_interface_name("--tap", options.tap);
    if (options.bridge == options.tap) {
        throw ConfigError(
            fmt::format("--bridge and --tap are both '{}': give two names", options.tap));
    }
    check_log_level(options.log_level);
    check_cipher_provider(options.cipher_provider);
    check_fast_path(options.fast_path);
    check_ranges(options);
    check_listen(options.listen);
    for (const std::string& text : options.advertise) {
        check_advertise(text, options.port);
    }
    if (!options.metrics_listen.empty()) {
        const auto endpoint = Endpoint::parse(options.metrics_listen, 0);
        if (!endpoint || endpoint->port == 0) {
            throw ConfigError(
                fmt::format("--metrics-listen '{}' is not ADDRESS:PORT: write it as 10.0.0.1:6782",
                            options.metrics_listen));
        }
    }
    if (options.name.size() > 63) {
        throw ConfigError("--name is longer than 63 characters: give a shorter label");
    }
    for (const std::string& peer : options.peers) {
        check_peer(peer);
    }
}

} // namespace

std::vector<IpAddress> listen_addresses(const Options& options) {
    std::vector<IpAddress> out;
    for (const std::string& text : options.listen) {
        out.push_back(*IpAddress::parse(text));
    }
    return out;
}

bool may_pair_lanes(const Options& options) {
    return 2 * lane_count(options) <= kMostLanes && !options.no_sparse_lanes;
}

unsigned lane_count(const Options& options) {
    const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
    return options.lanes != 0 ? options.lanes
                              : std::clamp(processors / 2, 1U, unsigned{kMostLanes});
}

std::string cluster_path(const Options& options) {
    return options.cluster_file.empty() ? options.state_dir + "/cluster.json"
                                        : options.cluster_file;
}

void check_peer(const std::string& text) {
    const auto colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    const std::string port = colon == std::string::npos ? "1" : text.substr(colon + 1);
    const auto in_name = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
    };
    const std::string last = host.substr(host.find_last_of('.') + 1);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    // A name that ends in a number would be an address to the resolver, and no good one.
    const bool plain = !host.empty() && host.size() <= kMaxHostName && host.front() != '-' &&
                       host.front() != '.' && std::all_of(host.begin(), host.end(), in_name) &&
                       (last.empty() || !std::all_of(last.begin(), last.end(), digit));
    unsigned number = 0;
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
    const bool good_port = parsed.ec == std::errc{} && parsed.ptr == port.data() + port.size() &&
                           number >= 1 && number <= 65535;
    if (const auto endpoint = Endpoint::parse(text, 1)) {
        check_address(fmt::format("'{}'", text), endpoint->address);
        return;
    }
    if (plain && good_port) {
        return;
    }
    std::string shown = text.substr(0, kMaxHostName);
    std::replace_if(
        shown.begin(),
        shown.end(),
        [](char c) { return std::iscntrl(static_cast<unsigned char>(c)) != 0; },
        '?');
    throw ConfigError(fmt::format(
        "'{}' is not a peer: write HOST or ADDRESS, either with :PORT, or [IPV6]:PORT", shown));
}

CommandLine parse_command_line(int argc, char** argv) {
    CommandLine line;
    CLI::App app{"weaved: the weavemesh router. weave-launch starts it; weavectl operates it.",
                 "weaved"};
    app.set_version_flag("--version", "weaved " WEAVE_VERSION);
    std::string reference;
    app.add_option("--option-reference",
                   reference,
                   "Print the option reference (man or markdown) and exit.")
        ->check(CLI::IsMember({"man", "markdown"}))
        ->group("");
    bool only_check = false;
    app.add_flag("--check-options", only_check, "Say what is wrong with the options and exit.")
        ->group("");
    app.add_option("--check-cluster-file",
                   line.cluster_file_to_check,
                   "Say what is wrong with that cluster file and exit.")
        ->group("");
    app.add_flag("--check-range",
                 line.only_check_range,
                 "Say who else uses addresses of the range on this host and exit.")
        ->group("");
    declare_deeds(app, line);
    declare_options(app, line.options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& wanted) { // --help, --version
        line.exit_now = true;
        app.exit(wanted);
        return line;
    } catch (const CLI::ConversionError& error) { // "...: --flag = text"; numbers do not get here
        const std::string text = error.what();
        throw ConfigError(fmt::format("a switch's environment variable is true or false{}",
                                      text.substr(std::min(text.find(':'), text.size()))));
    } catch (const CLI::ParseError& error) {
        line.exit_now = true;
        line.exit_code = 2;
        std::fprintf(stderr, "weaved: %s (see weaved --help)\n", error.what());
        return line;
    }
    if (!reference.empty()) {
        std::fputs(option_reference(reference).c_str(), stdout);
        line.exit_now = true;
        return line;
    }
    split_lists(line.options);
    check(line.options);
    line.exit_now = only_check;
    return line;
}

std::string option_reference(const std::string& format) {
    CLI::App app;
    CommandLine line;
    declare_options(app, line.options);
    declare_deeds(app, line);
    std::string out;
    if (format == "markdown") {
        out = "| option | environment | default | meaning |\n|---|---|---|---|\n";
    }
    for (const CLI::Option* option : app.get_options()) {
        const std::string env = option->get_envname();
        if (env.empty() && option->get_name() != kTakeover &&
            option->get_name() != kRemoveFirewall) {
            continue;
        }
        const std::string fallback = option->get_default_str();
        // A switch has no value, and CLI11 no type name for it.
        const std::string value = option->get_expected_max() == 0 ? "" : option->get_type_name();
        if (format == "markdown") {
            out += fmt::format("| `{}{}{}` | {} | {} | {} |\n",
                               option->get_name(),
                               value.empty() ? "" : " ",
                               value,
                               env.empty() ? "" : '`' + env + '`',
                               fallback.empty() ? "" : '`' + fallback + '`',
                               option->get_description());
        } else {
            out += fmt::format(".TP\n\\fB{}\\fR \\fI{}\\fR{}\n{}{}\n",
                               option->get_name(),
                               value,
                               env.empty() ? "" : " (environment " + env + ')',
                               option->get_description(),
                               fallback.empty() ? "" : " Default: " + fallback + '.');
        }
    }
    return out;
}

} // namespace weave::daemon
