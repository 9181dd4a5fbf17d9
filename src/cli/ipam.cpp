// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/ipam.hpp"

#include "api/status.hpp"
#include "base/address.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <utility>

namespace weave::cli {
namespace {

using nlohmann::json;

/** The daemon's answer, printed whole where a program reads it. */
template <class Text>
void ask(const Options& options, const char* method, const json& params, Text text) {
    Client client = connect_patiently(options);
    const json answer = json::parse(client.call(method, params.dump()));
    print(options.json() ? api::json_text(answer) : text(answer));
}

std::string joined(const json& list) {
    std::string out;
    for (const json& each : list) {
        out += (out.empty() ? "" : " ") + each.get<std::string>();
    }
    return out.empty() ? "-" : out;
}

std::string line_for_each(const json& list) {
    std::string out;
    for (const json& each : list) {
        out += each.get<std::string>() + '\n';
    }
    return out;
}

std::string text_or_dash(const json& value) {
    return value.is_string() && !value.get<std::string>().empty() ? value.get<std::string>() : "-";
}

std::string duration_text(std::int64_t seconds) {
    constexpr std::int64_t kMinute = 60;
    return seconds < 2 * kMinute ? std::to_string(seconds) + " s"
                                 : std::to_string(seconds / kMinute) + " min";
}

/** Who takes part, and until when this node may hand out when it sees nobody. */
std::string members_text(const json& members) {
    if (members.at("agreement").get<std::uint32_t>() == 0) {
        return "none yet: this node has not met another one, and no address was asked for";
    }
    std::string out = std::to_string(members.at("seen").get<std::size_t>()) + " of " +
                      std::to_string(members.at("members").get<std::size_t>()) + " here";
    const auto lease = members.at("lease_seconds").get<std::int64_t>();
    out += lease > 0 ? ", allocates for " + duration_text(lease) + " without them"
                     : ", allocates nothing";
    if (!members.at("member").get<bool>()) {
        out += ", this node is joining";
    }
    if (members.at("too_many").get<bool>()) {
        out += ", too many to agree: space of nodes that left comes back by 'weavectl rmpeer' only";
    }
    for (const json& absent : members.at("absent")) {
        const auto gone = absent.at("seconds").get<std::int64_t>();
        const auto left = members.at("reclaim_after_seconds").get<std::int64_t>() - gone;
        out += "; " + absent.at("node").get<std::string>() + " away for " + duration_text(gone) +
               (left > 0 ? ", its space comes back in " + duration_text(left) : "");
    }
    return out;
}

std::string status_text(const json& answer) {
    std::vector<std::vector<std::string>> facts{
        {"range:",
         answer.at("range").get<std::string>() + " " + answer.at("range6").get<std::string>()},
        {"default subnet:", answer.at("default_subnet").get<std::string>()},
        {"state:",
         answer.at("ready").get<bool>() ? "ready" : answer.at("reason").get<std::string>()},
        {"members:", members_text(answer.at("members"))}};
    for (const char* count : {"free", "held", "resting", "taken over", "conflicts"}) {
        facts.push_back(
            {std::string(count) + ":", std::to_string(answer.at(count).get<std::uint64_t>())});
    }
    std::vector<std::vector<std::string>> rows{{"NODE", "OWNED", "USED", "REACHABLE"}};
    for (const json& node : answer.at("nodes")) {
        rows.push_back({node.at("node").get<std::string>() +
                            (node.at("self").get<bool>() ? " (this one)" : ""),
                        std::to_string(node.at("owned").get<std::uint64_t>()),
                        std::to_string(node.at("used").get<std::uint64_t>()),
                        node.at("reachable").get<bool>() ? "yes" : "no"});
    }
    return api::render_table(facts) + '\n' + api::render_table(rows);
}

std::string conflicts_text(const json& answer) {
    std::vector<std::vector<std::string>> rows{
        {"ADDRESS", "HOLDER", "OTHER NODE", "KEEPS IT", "REMEDY"}};
    for (const json& each : answer) {
        rows.push_back({each.at("address").get<std::string>(),
                        each.at("holder").get<std::string>(),
                        each.at("other").get<std::string>(),
                        each.at("keeps").get<std::string>(),
                        each.at("renumber").get<bool>()
                            ? "detach and attach the holder: it gets another address"
                            : "none here: the pod of the other node has to be renumbered"});
    }
    return rows.size() == 1 ? "no address is in use twice\n" : api::render_table(rows);
}

std::string lookup_text(const json& answer) {
    if (answer.contains("addresses")) {
        return line_for_each(answer.at("addresses"));
    }
    return api::render_table({{"address:", text_or_dash(answer.at("address"))},
                              {"owner:", text_or_dash(answer.at("owner"))},
                              {"node:", text_or_dash(answer.value("node", json()))},
                              {"holder:", text_or_dash(answer.at("holder"))}});
}

std::string gc_text(const json& answer) {
    const bool dry = answer.at("dry_run").get<bool>();
    if (answer.at("released").empty()) {
        return "nothing to give back: every holder of an address is there\n";
    }
    std::string out;
    for (const json& each : answer.at("released")) {
        out += (dry ? "would release " : "released ") + each.at("holder").get<std::string>() +
               ": " + joined(each.at("addresses")) + '\n';
    }
    return out + (dry ? "nothing was changed: add --apply to release them\n" : "");
}

std::string removed_text(const json& answer) {
    return answer.at("notice").get<std::string>() + '\n';
}

/** An address is recognised as one; anything else is a holder's name. */
json by_address_or_holder(const std::string& text) {
    const bool address = IpAddress::parse(text.substr(0, text.find('/'))).has_value();
    return {{address ? "address" : "holder", text}};
}

} // namespace

void add_ipam_commands(CLI::App& app, Options& options, Action& action) {
    auto* ipam = app.add_subcommand("ipam", "Show and manage the range of pods' addresses");
    ipam->require_subcommand(1);

    ipam->add_subcommand("status", "Whose parts of the range are, what is used and free")
        ->callback(
            [&] { action = [&] { ask(options, "ipam_status", json::object(), status_text); }; });
    auto* claim = ipam->add_subcommand("claim", "Keep an address for something that is no pod");
    claim->add_option("HOLDER", options.holder, "A name for what has it")->required();
    claim->add_option("ADDRESS", options.address, "Of the range, such as 10.32.0.5")->required();
    claim->callback([&] {
        action = [&] {
            ask(options,
                "ipam_claim",
                {{"holder", options.holder}, {"address", options.address}},
                [](const json& answer) { return line_for_each(answer.at("addresses")); });
        };
    });
    auto* release = ipam->add_subcommand("release", "Give back what was claimed");
    release->add_option("HOLDER", options.holder, "A name, or an address")->required();
    release->callback([&] {
        action = [&] {
            ask(options,
                "ipam_release",
                by_address_or_holder(options.holder),
                [](const json& answer) { return line_for_each(answer.at("released")); });
        };
    });
    auto* lookup = ipam->add_subcommand("lookup", "Who has an address, or what a holder has");
    lookup->add_option("WHAT", options.holder, "An address, or a holder's name")->required();
    lookup->callback([&] {
        action = [&] {
            ask(options, "ipam_lookup", by_address_or_holder(options.holder), lookup_text);
        };
    });
    ipam->add_subcommand("conflicts", "Addresses of this node that another one uses as well")
        ->callback([&] {
            action = [&] { ask(options, "ipam_conflicts", json::object(), conflicts_text); };
        });
    auto* gc = ipam->add_subcommand("gc", "Give back what holders have that are gone");
    gc->add_flag("--apply", options.apply, "Do it; without it, only show what would be done");
    gc->callback([&] {
        action = [&] { ask(options, "ipam_gc", {{"dry_run", !options.apply}}, gc_text); };
    });

    auto* rmpeer = app.add_subcommand("rmpeer", "Take the address space of a node that is gone");
    rmpeer->add_option("NODE", options.holder, "Its name or id")->required();
    rmpeer->callback([&] {
        action = [&] { ask(options, "rmpeer", {{"node", options.holder}}, removed_text); };
    });
}

} // namespace weave::cli
