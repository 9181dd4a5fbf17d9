// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/config.hpp"

#include "cni/decode.hpp"
#include "cni/errors.hpp"

#include <algorithm>
#include <utility>

namespace weave::cni {

using nlohmann::json;

namespace {

constexpr std::uint32_t kMinMtu = 68; // RFC 791: what every IPv4 network carries
constexpr std::uint32_t kMaxMtu = 65535;

/** A member of a member of the configuration; nullptr when either is missing. */
const json* inner(const json& in, const char* outer, const char* name) {
    const json* object = object_at(in, outer);
    return object == nullptr ? nullptr : find(*object, name);
}

/** "args": {"cni": {...}}, by which a person asks for something in the configuration itself. */
const json& conventional_args(const json& in) {
    static const json nothing = json::object();
    const json* cni = inner(in, "args", "cni");
    return cni != nullptr && cni->is_object() ? *cni : nothing;
}

const json& runtime_config(const json& in) {
    static const json nothing = json::object();
    const json* found = object_at(in, "runtimeConfig");
    return found == nullptr ? nothing : *found;
}

/** Routes that only the kernel's default attributes are known for: others are refused by name. */
Route simple_route(const json& in) {
    Route out = parse_route(in);
    for (const auto& [name, value] : {std::pair{"mtu", out.mtu},
                                      {"advmss", out.advmss},
                                      {"priority", out.priority},
                                      {"table", out.table},
                                      {"scope", out.scope}}) {
        if (value) {
            throw Failure(Code::unsupported_field,
                          std::string("the key '") + name + "' of a route, value " +
                              std::to_string(*value) + ", is not supported: leave it out");
        }
    }
    return out;
}

IpamConfig read_ipam(const json& in) {
    IpamConfig out;
    out.type = text_at(in, "type");
    if (!is_own_ipam(out.type)) {
        return out; // the rest is the other plugin's
    }
    for (const std::string& subnet : one_or_more_at(in, "subnet")) {
        out.subnets.push_back(as_prefix(subnet, "ipam.subnet").text());
    }
    for (const std::string& gateway : one_or_more_at(in, "gateway")) {
        out.gateways.push_back(as_address(gateway, "ipam.gateway"));
    }
    if (find(in, "routes") != nullptr) {
        out.routes.emplace();
        for (const json* route : objects_at(in, "routes")) {
            out.routes->push_back(simple_route(*route));
        }
    }
    return out;
}

/** An address asked for; one without a length has that of ipam.subnet, or of the range. */
struct WantedAddress {
    IpAddress address;
    std::optional<std::uint8_t> length; // nothing: weaved knows it
};

WantedAddress wanted_address(const std::string& text, const IpamConfig& ipam) {
    if (text.find('/') != std::string::npos) {
        const Prefix prefix = as_prefix(text, "the address asked for");
        return {prefix.address, prefix.length};
    }
    const IpAddress address = as_address(text, "the address asked for");
    for (const std::string& subnet : ipam.subnets) {
        const auto prefix = Prefix::parse(subnet);
        if (prefix && prefix->contains(address)) {
            return {address, prefix->length};
        }
    }
    return {address, std::nullopt};
}

/** As weaved reads them. Where only one family is asked for, "ip:" brings the other one's. */
std::vector<std::string> address_specs(const std::vector<WantedAddress>& all) {
    const auto is_v4 = [](const WantedAddress& each) { return each.address.is_v4(); };
    const bool both = std::ranges::any_of(all, is_v4) && !std::ranges::all_of(all, is_v4);
    std::vector<std::string> out;
    for (const WantedAddress& each : all) {
        const std::string text =
            each.length ? Prefix{each.address, *each.length}.text() : each.address.text();
        out.push_back((both && each.length ? "" : "ip:") + text);
    }
    return out;
}

/** The newer ways to ask win: the capability, then "args", then CNI_ARGS. */
std::vector<std::string>
wanted_addresses(const json& in, const Environment& environment, const IpamConfig& ipam) {
    std::vector<std::string> texts = one_or_more_at(runtime_config(in), "ips");
    if (texts.empty()) {
        texts = one_or_more_at(conventional_args(in), "ips");
    }
    const bool by_variable = texts.empty();
    if (by_variable) {
        texts = read_arguments(environment.args).addresses;
    }
    std::vector<WantedAddress> wanted;
    try {
        for (const std::string& text : texts) {
            wanted.push_back(wanted_address(text, ipam));
        }
    } catch (const Failure& failure) {
        if (by_variable) {
            throw Failure(Code::invalid_environment,
                          std::string("CNI_ARGS, IP: ") + failure.what());
        }
        throw;
    }
    std::vector<std::string> out = address_specs(wanted);
    if (out.empty()) {
        for (const std::string& subnet : ipam.subnets) {
            out.push_back("net:" + subnet);
        }
    }
    return out;
}

/** The convention writes "servers" and "searches", containerd 1.6 in capitals. */
Dns runtime_dns(const json& in) {
    Dns out;
    if (const json* dns = object_at(runtime_config(in), "dns")) {
        out.nameservers = texts_at(*dns, "servers");
        out.search = texts_at(*dns, "searches");
        out.options = texts_at(*dns, "options");
    }
    return out;
}

/** Below "ipam" too, where that is weave-ipam's: the keys around it are another plugin's then. */
std::string folder_or_socket(const json& in, const char* name, const std::string& otherwise) {
    std::string out;
    const json* ipam = object_at(in, "ipam");
    if (ipam != nullptr && is_own_ipam(text_at(*ipam, "type"))) {
        out = text_at(*ipam, name);
    }
    out = out.empty() ? text_at(in, name) : out;
    return out.empty() ? otherwise : out;
}

std::string wanted_mac(const json& in, const Environment& environment) {
    std::string out = text_at(runtime_config(in), "mac");
    if (out.empty()) {
        out = text_at(conventional_args(in), "mac");
    }
    const bool by_variable = out.empty();
    if (by_variable) {
        out = read_arguments(environment.args).mac;
    }
    if (out.empty()) {
        return out;
    }
    const auto mac = MacAddress::parse(out);
    if (!mac || mac->is_group() || *mac == MacAddress{}) {
        throw Failure(by_variable ? Code::invalid_environment : Code::invalid_config,
                      std::string(by_variable ? "CNI_ARGS, MAC" : "the MAC address") + " '" + out +
                          "' is not one that an interface can have: write it as "
                          "02:11:22:33:44:55");
    }
    return mac->text();
}

} // namespace

SpecVersion read_version(const json& in, Verb verb) {
    const std::string text = text_at(in, "cniVersion");
    const auto version = parse_version(text);
    if (!version) {
        std::string known;
        for (const std::string_view each : kSpecVersions) {
            known += (known.empty() ? "" : ", ") + std::string(each);
        }
        throw Failure(Code::incompatible_version,
                      (text.empty() ? "there is no cniVersion in the network configuration"
                                    : "cniVersion '" + text + "' is not supported") +
                          ": this plugin speaks " + known);
    }
    const bool too_old =
        (verb == Verb::check && *version < SpecVersion::v0_4_0) ||
        ((verb == Verb::status || verb == Verb::gc) && *version < SpecVersion::v1_1_0);
    if (too_old) {
        throw Failure(Code::incompatible_version,
                      "cniVersion " + text + " does not have this CNI_COMMAND: it is of " +
                          (verb == Verb::check ? "0.4.0" : "1.1.0"));
    }
    return *version;
}

NetworkConfig read_config(const json& in, const Environment& environment) {
    NetworkConfig out;
    out.version = read_version(in, environment.verb);
    out.name = text_at(in, "name");
    if (!is_name(out.name)) {
        throw Failure(Code::invalid_config,
                      out.name.empty()
                          ? std::string("there is no name in the network configuration")
                          : "the network's name '" + out.name +
                                "' is not valid: it has letters, digits, '_', '.' and '-', and "
                                "begins with a letter or digit");
    }
    out.socket = folder_or_socket(in, "socket", out.socket);
    out.state_dir = folder_or_socket(in, "stateDir", out.state_dir);
    const json* ipam = object_at(in, "ipam");
    const bool whole = environment.verb == Verb::add || environment.verb == Verb::check;
    if (!whole) {
        out.ipam.type = ipam == nullptr ? "" : text_at(*ipam, "type");
        return out;
    }
    out.ipam = ipam == nullptr ? IpamConfig{} : read_ipam(*ipam);
    const json* dns = object_at(in, "dns");
    out.dns = overlay(dns == nullptr ? Dns{} : parse_dns(*dns), runtime_dns(in));
    if (!out.delegates()) {
        out.addresses = wanted_addresses(in, environment, out.ipam);
    }
    if (const json* previous = object_at(in, "prevResult")) {
        out.previous = parse_result(*previous);
    }
    return out;
}

LinkConfig read_link_config(const json& in, const Environment& environment) {
    LinkConfig out;
    if (const std::string mode = text_at(in, "mode"); !mode.empty()) {
        out.mode = mode;
    }
    if (out.mode != "bridge" && out.mode != "routed") {
        throw Failure(Code::unsupported_field,
                      "the key 'mode' has the value '" + out.mode +
                          "', which is not supported: it is 'bridge' or 'routed'");
    }
    if (const auto mtu = number_at(in, "mtu"); mtu && *mtu != 0) {
        if (*mtu < kMinMtu || *mtu > kMaxMtu) {
            throw Failure(Code::invalid_config,
                          "mtu " + std::to_string(*mtu) +
                              " is not possible: it is 68 to 65535, or 0 for what fits");
        }
        out.mtu = *mtu;
    }
    out.mac = wanted_mac(in, environment);
    return out;
}

std::vector<Attachment> read_valid_attachments(const json& in) {
    constexpr const char* kKey = "cni.dev/valid-attachments";
    // Null is how a Go program writes an empty list. Without the key a runtime has said nothing.
    if (!in.contains(kKey)) {
        throw Failure(Code::invalid_config,
                      std::string("GC needs the key '") + kKey + "': nothing was removed");
    }
    std::vector<Attachment> out;
    for (const json* entry : objects_at(in, kKey)) {
        out.push_back({text_at(*entry, "containerID"), text_at(*entry, "ifname")});
        if (out.back().container_id.empty() || out.back().ifname.empty()) {
            throw Failure(Code::invalid_config,
                          std::string("an entry of '") + kKey +
                              "' has no containerID or no ifname: nothing was removed");
        }
    }
    return out;
}

} // namespace weave::cni
