// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/foreign_forward.hpp"

#include "os/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace weave::attach {
namespace {

/** For people: we know our rules by the jump, as iptables-restore spells comments its own way. */
constexpr const char* kComment = "weavemesh";

const char* family_of(bool v6) {
    return v6 ? "ip6" : "ip";
}

bool is_iptables(const std::string& family, std::string_view table, std::string_view chain) {
    return (family == "ip" || family == "ip6") && table == "filter" && chain == "FORWARD";
}

std::string delete_jumps(const std::string& place,
                         const std::vector<ForeignRule>& rules,
                         const std::string& to) {
    std::string out;
    for (const ForeignRule& rule : rules) {
        if (rule.jump == to) {
            out += "delete rule " + place + " handle " + std::to_string(rule.handle) + '\n';
        }
    }
    return out;
}

/** Whether that many rules of a chain accept. */
bool is_complete(const nlohmann::json& listing, std::size_t rules) {
    return static_cast<std::size_t>(std::ranges::count_if(listing, [](const auto& entry) {
               const auto rule = entry.find("rule");
               return rule != entry.end() &&
                      rule->dump().find("{\"accept\":null}") != std::string::npos;
           })) == rules;
}

} // namespace

std::vector<ForeignForward::Hook> ForeignForward::forward_hooks() {
    std::vector<Hook> out;
    for (const auto& entry : nft_.list_json("list chains", "read the forward chains")) {
        const auto chain = entry.find("chain");
        if (chain == entry.end() || chain->value("hook", "") != "forward") {
            continue;
        }
        Hook hook{chain->value("family", ""), chain->value("table", ""), chain->value("name", "")};
        // Names are given back to nft as they are; tables of ours do not drop what is ours.
        if (is_plain_name(hook.table) && is_plain_name(hook.chain) &&
            hook.table != settings_.table) {
            out.push_back(std::move(hook));
        }
    }
    return out;
}

ForeignChain ForeignForward::read(const std::string& family,
                                  const std::string& table,
                                  const std::string& chain) {
    try {
        return chain_from_json(nft_.list_json("list chain " + family + ' ' + table + ' ' + chain,
                                              "read chain " + chain),
                               settings_.bridge);
    } catch (const std::system_error& error) {
        if (error.code().value() == ENOENT) {
            return {};
        }
        throw;
    }
}

bool ForeignForward::is_concerned(const os::NftablesChange& change) const {
    if (change.base_chain) {
        return true; // also a policy
    }
    const std::string chain{change.chain};
    const auto places = possible_places(false);
    const auto places6 = possible_places(true);
    return chain == accept_chain(settings_) || change.table == "firewalld" ||
           std::ranges::find(places, chain) != places.end() ||
           std::ranges::find(places6, chain) != places6.end();
}

/** Through libnftables even where iptables-nft made the table: it shows and saves our rules. */
bool ForeignForward::mend_nft(bool v6) {
    const std::string table = std::string{family_of(v6)} + " filter ";
    const std::string ours = accept_chain(settings_);
    const auto chain = [&](const std::string& name) { return read(family_of(v6), "filter", name); };
    if (!chain("FORWARD").drops()) {
        return false;
    }
    const std::string place = accept_place(v6, chain);
    const bool jumps = chain(place).jumps_to(ours);
    const auto rules = accept_rules_nft(settings_);
    const bool filled =
        chain(ours).exists &&
        is_complete(nft_.list_json("list chain " + table + ours, "read our chain"), rules.size());
    if (jumps && filled) {
        return false;
    }
    std::string commands = "add chain " + table + ours + "\nflush chain " + table + ours + '\n';
    for (const std::string& rule : rules) {
        commands += "add rule " + table + ours + ' ' + rule + '\n';
    }
    if (!jumps) {
        commands += delete_jumps(table + place, chain(place).rules, ours);
        commands += "insert rule " + table + place + " counter jump " + ours + " comment \"" +
                    kComment + "\"\n";
    }
    nft_.run(commands, "accept pods' traffic in table " + table + "chain " + place);
    return true;
}

void ForeignForward::judge(const Hook& hook, Outcome& outcome) {
    const ForeignChain chain = read(hook.family, hook.table, hook.chain);
    if (!chain.drops() || chain.names_us || is_firewalld_reload(hook)) {
        return; // by naming the bridge its owner has decided about it
    }
    if (is_firewalld(hook)) {
        judge_firewalld(hook, outcome);
        return;
    }
    const std::string where = "table " + hook.family + ' ' + hook.table + " chain " + hook.chain;
    const std::string ports = settings_.port_prefix;
    outcome.problems.push_back(
        where + " drops pods' forwarded traffic: add the rules 'iifname { \"" + settings_.bridge +
        "\", \"" + ports + "*\" } accept' and 'oifname { \"" + settings_.bridge + "\", \"" + ports +
        "*\" } accept' to it");
}

ForeignForward::Outcome ForeignForward::mend() {
    Outcome out;
    for (const Hook& hook : forward_hooks()) {
        try {
            if (is_iptables(hook.family, hook.table, hook.chain)) {
                out.changed = mend_nft(hook.family == "ip6") || out.changed;
            } else {
                judge(hook, out);
            }
        } catch (const std::system_error& error) {
            out.problems.emplace_back(error.what());
        }
    }
    for (const bool v6 : {false, true}) {
        try {
            mend_legacy(v6, out);
        } catch (const std::system_error& error) {
            const std::string program = v6 ? "ip6tables-legacy" : "iptables-legacy";
            std::string problem =
                program + " may drop pods' forwarded traffic, and we cannot look: " + error.what() +
                "; if it does, run as root";
            const char* separator = " ";
            for (const std::string& rule : accept_rules_iptables(settings_)) {
                problem += std::exchange(separator, "; ") + ('\'' + program) + " -I FORWARD " +
                           rule + '\'';
            }
            out.problems.push_back(problem);
        }
    }
    return out;
}

void ForeignForward::remove_nft(bool v6) {
    const std::string table = std::string{family_of(v6)} + " filter ";
    const std::string ours = accept_chain(settings_);
    if (!read(family_of(v6), "filter", ours).exists) {
        return;
    }
    std::string commands;
    for (const std::string& place : possible_places(v6)) {
        commands += delete_jumps(table + place, read(family_of(v6), "filter", place).rules, ours);
    }
    commands += "flush chain " + table + ours + "\ndelete chain " + table + ours + '\n';
    nft_.run(commands, "remove chain " + ours + " from table " + table);
}

void ForeignForward::remove() {
    for (const bool v6 : {false, true}) {
        remove_nft(v6);
        remove_legacy(v6);
    }
    remove_firewalld();
}

} // namespace weave::attach
