// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/foreign_chain.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace weave::attach {
namespace {

using Json = nlohmann::json;

bool is_drop_target(const std::string& name) {
    return name == "DROP" || name == "REJECT";
}

/** Whether a statement lets every packet go on to the next one. */
bool matches_all(const Json& statement) {
    if (const auto xt = statement.find("xt"); xt != statement.end()) {
        return xt->is_object() && (xt->value("name", "") == "comment" || //
                                   xt->value("type", "") == "target");
    }
    return statement.contains("counter") || statement.contains("log");
}

bool drops(const Json& statement) {
    if (statement.contains("drop") || statement.contains("reject")) {
        return true;
    }
    const auto xt = statement.find("xt");
    return xt != statement.end() && xt->is_object() && is_drop_target(xt->value("name", ""));
}

ForeignRule rule_from_json(const Json& rule) {
    ForeignRule out;
    out.handle = rule.value("handle", 0UL);
    bool everything = true;
    const auto statements = rule.find("expr");
    if (statements == rule.end() || !statements->is_array()) {
        return out;
    }
    for (const Json& statement : *statements) {
        for (const char* verb : {"jump", "goto"}) {
            if (const auto found = statement.find(verb); found != statement.end()) {
                out.jump = found->value("target", "");
            }
        }
        out.drops_all = out.drops_all || (everything && drops(statement));
        everything = everything && matches_all(statement);
    }
    return out;
}

/** The words of a line; a comment in quotes is one. */
std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '\\' && quoted && i + 1 < line.size()) {
            out.back() += line[++i];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ' ' && !quoted) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    return out;
}

/** The words behind "-A CHAIN". */
ForeignRule rule_from_words(const std::vector<std::string>& words) {
    ForeignRule out;
    bool everything = true;
    std::string target;
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
        const std::string& option = words[i];
        if (option == "-j" || option == "-g") {
            target = words[i + 1];
            break;
        }
        const bool comment = option == "--comment" || (option == "-m" && words[i + 1] == "comment");
        everything = everything && comment;
    }
    out.drops_all = everything && is_drop_target(target);
    out.jump = target;
    return out;
}

} // namespace

bool ForeignChain::drops() const {
    return policy_drops ||
           std::ranges::any_of(rules, [](const ForeignRule& rule) { return rule.drops_all; });
}

bool ForeignChain::jumps_to(std::string_view chain) const {
    const auto first = std::ranges::find_if(
        rules, [&](const ForeignRule& rule) { return rule.drops_all || rule.jump == chain; });
    return first != rules.end() && !first->drops_all;
}

ForeignChain chain_from_json(const Json& listing, const std::string& bridge) {
    ForeignChain out;
    for (const Json& entry : listing) {
        if (const auto chain = entry.find("chain"); chain != entry.end()) {
            out.exists = true;
            out.policy_drops = chain->value("policy", "") == "drop";
        } else if (const auto rule = entry.find("rule"); rule != entry.end()) {
            out.rules.push_back(rule_from_json(*rule));
            out.names_us =
                out.names_us || rule->dump().find('"' + bridge + '"') != std::string::npos;
        }
    }
    return out;
}

ForeignChain
chain_from_text(std::string_view listing, const std::string& chain, const std::string& bridge) {
    ForeignChain out;
    while (!listing.empty()) {
        const auto end = listing.find('\n');
        const std::vector<std::string> words = words_of(listing.substr(0, end));
        listing.remove_prefix(end == std::string_view::npos ? listing.size() : end + 1);
        if (words.size() < 2 || words[1] != chain) {
            continue;
        }
        out.exists = true;
        if (words[0] == "-P") {
            out.policy_drops = words.size() > 2 && words[2] == "DROP";
        } else if (words[0] == "-A") {
            out.rules.push_back(rule_from_words(words));
            out.names_us = out.names_us || std::ranges::find(words, bridge) != words.end();
        }
    }
    return out;
}

std::string accept_chain(const FirewallSettings& settings) {
    return settings.table == "weave" ? "WEAVE-FORWARD" : "WEAVE-FWD-" + settings.table;
}

std::vector<std::string> possible_places(bool v6) {
    return {"FORWARD", "DOCKER-USER", v6 ? "ufw6-user-forward" : "ufw-user-forward"};
}

std::string accept_place(bool v6, const std::function<ForeignChain(const std::string&)>& chain) {
    const ForeignChain forward = chain("FORWARD");
    if (forward.jumps_to("DOCKER-USER") && chain("DOCKER-USER").exists) {
        return "DOCKER-USER";
    }
    const std::string before = v6 ? "ufw6-before-forward" : "ufw-before-forward";
    const std::string user = v6 ? "ufw6-user-forward" : "ufw-user-forward";
    if (forward.jumps_to(before) && chain(before).jumps_to(user) && chain(user).exists) {
        return user;
    }
    return "FORWARD";
}

std::vector<std::string> accept_rules_iptables(const FirewallSettings& settings) {
    const std::string ports = settings.port_prefix + '+';
    return {"-i " + settings.bridge + " -j ACCEPT",
            "-i " + ports + " -j ACCEPT",
            "-o " + settings.bridge + " -j ACCEPT",
            "-o " + ports + " -j ACCEPT"};
}

std::vector<std::string> accept_rules_nft(const FirewallSettings& settings) {
    const std::string bridge = '"' + settings.bridge + "\" counter accept";
    const std::string ports = '"' + settings.port_prefix + "*\" counter accept";
    return {"iifname " + bridge, "iifname " + ports, "oifname " + bridge, "oifname " + ports};
}

} // namespace weave::attach
