// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/result.hpp"

#include "cni/decode.hpp"
#include "cni/errors.hpp"

namespace weave::cni {

using nlohmann::json;

namespace {

void put(json& out, const char* name, const std::string& value) {
    if (!value.empty()) {
        out[name] = value;
    }
}

void put(json& out, const char* name, const std::vector<std::string>& values) {
    if (!values.empty()) {
        out[name] = values;
    }
}

void put(json& out, const char* name, const std::optional<std::uint32_t>& value) {
    if (value) {
        out[name] = *value;
    }
}

void put(json& out, const char* name, const std::optional<IpAddress>& value) {
    if (value) {
        out[name] = value->text();
    }
}

json render_interface(const Interface& from, SpecVersion version) {
    json out{{"name", from.name}};
    put(out, "mac", from.mac);
    put(out, "sandbox", from.sandbox);
    if (version >= SpecVersion::v1_1_0) {
        if (from.mtu != 0) {
            out["mtu"] = from.mtu;
        }
        put(out, "socketPath", from.socket_path);
        put(out, "pciID", from.pci_id);
    }
    return out;
}

json render_ip(const Ip& from, SpecVersion version) {
    json out{{"address", from.address.text()}};
    if (version < SpecVersion::v1_0_0) {
        out["version"] = from.address.address.is_v4() ? "4" : "6";
    }
    put(out, "gateway", from.gateway);
    if (from.interface) {
        out["interface"] = *from.interface;
    }
    return out;
}

json render_route(const Route& from, SpecVersion version) {
    json out{{"dst", from.destination.text()}};
    put(out, "gw", from.gateway);
    if (version >= SpecVersion::v1_1_0) {
        put(out, "mtu", from.mtu);
        put(out, "advmss", from.advmss);
        put(out, "priority", from.priority);
        put(out, "table", from.table);
        put(out, "scope", from.scope);
    }
    return out;
}

template <class T>
void put_all(json& out,
             const char* name,
             const std::vector<T>& values,
             SpecVersion version,
             json (*render_one)(const T&, SpecVersion)) {
    for (const T& value : values) {
        out[name].push_back(render_one(value, version));
    }
}

std::optional<IpAddress> address_at(const json& in, const char* name) {
    const std::string text = text_at(in, name);
    return text.empty() ? std::nullopt : std::optional(as_address(text, name));
}

Interface parse_interface(const json& in) {
    return {text_at(in, "name"),
            text_at(in, "mac"),
            number_at(in, "mtu").value_or(0),
            text_at(in, "sandbox"),
            text_at(in, "socketPath"),
            text_at(in, "pciID")};
}

Ip parse_ip(const json& in, std::size_t interfaces) {
    Ip out{as_prefix(text_at(in, "address"), "address"), address_at(in, "gateway"), {}};
    // Without a list of interfaces there is nothing to point at.
    if (const auto index = number_at(in, "interface"); index && interfaces > 0) {
        if (*index >= interfaces) {
            throw Failure(Code::invalid_config,
                          "interface " + std::to_string(*index) + " of the address " +
                              out.address.text() + " is not in the list of interfaces");
        }
        out.interface = *index;
    }
    return out;
}

} // namespace

json render(const Result& result, SpecVersion version) {
    json out{{"cniVersion", text_of(version)}, {"dns", json::object()}};
    put_all(out, "interfaces", result.interfaces, version, render_interface);
    put_all(out, "ips", result.ips, version, render_ip);
    put_all(out, "routes", result.routes, version, render_route);
    json& dns = out["dns"];
    put(dns, "nameservers", result.dns.nameservers);
    put(dns, "domain", result.dns.domain);
    put(dns, "search", result.dns.search);
    put(dns, "options", result.dns.options);
    return out;
}

Route parse_route(const json& in) {
    return {as_prefix(text_at(in, "dst"), "dst"),
            address_at(in, "gw"),
            number_at(in, "mtu"),
            number_at(in, "advmss"),
            number_at(in, "priority"),
            number_at(in, "table"),
            number_at(in, "scope")};
}

Dns parse_dns(const json& in) {
    return {texts_at(in, "nameservers"),
            text_at(in, "domain"),
            texts_at(in, "search"),
            texts_at(in, "options")};
}

Result parse_result(const json& in) {
    const std::string version = text_at(in, "cniVersion");
    if (!version.empty() && !parse_version(version)) {
        throw Failure(Code::incompatible_version,
                      "a result of cniVersion '" + version + "' cannot be read");
    }
    Result out;
    for (const json* entry : objects_at(in, "interfaces")) {
        out.interfaces.push_back(parse_interface(*entry));
    }
    for (const json* entry : objects_at(in, "ips")) {
        out.ips.push_back(parse_ip(*entry, out.interfaces.size()));
    }
    for (const json* entry : objects_at(in, "routes")) {
        out.routes.push_back(parse_route(*entry));
    }
    if (const json* dns = object_at(in, "dns")) {
        out.dns = parse_dns(*dns);
    }
    return out;
}

Dns overlay(Dns below, const Dns& above) {
    const auto take = [](auto& into, const auto& from) {
        if (!from.empty()) {
            into = from;
        }
    };
    take(below.nameservers, above.nameservers);
    take(below.domain, above.domain);
    take(below.search, above.search);
    take(below.options, above.options);
    return below;
}

Result append(Result before, const Result& own) {
    const std::size_t offset = before.interfaces.size();
    before.interfaces.insert(before.interfaces.end(), own.interfaces.begin(), own.interfaces.end());
    for (Ip ip : own.ips) {
        if (ip.interface) {
            *ip.interface += offset;
        }
        before.ips.push_back(ip);
    }
    before.routes.insert(before.routes.end(), own.routes.begin(), own.routes.end());
    before.dns = overlay(std::move(before.dns), own.dns);
    return before;
}

} // namespace weave::cni
