// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The part of ForeignForward for firewalld, which makes its tables anew from what its own program
// is told: rules of ours in there would be gone at its next change.
#include "attach/foreign_forward.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"
#include "os/program.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace weave::attach {
namespace {

/** Of one run: firewall-cmd waits while firewalld reloads. */
constexpr std::chrono::seconds kTimeout{7};
/** A firewalld that could not do it is not asked again at each change of its tables. */
constexpr std::chrono::seconds kPause{20};

constexpr const char* kProgram = "firewall-cmd";
constexpr const char* kTable = "firewalld";
/** By it everything is dropped while firewalld reloads; it is gone in a moment. */
constexpr const char* kReloadTable = "firewalld_policy_drop";
/** From it firewalld accepts everything, also what it forwards (firewalld.zones(5)). */
constexpr const char* kZone = "trusted";

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

} // namespace

os::ProgramResult ForeignForward::firewall_cmd(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), kProgram);
    os::ProgramResult result;
    os::run_in_netns(netns_fd_, [&] { result = os::run_program(arguments, {}, kTimeout); });
    return result;
}

bool ForeignForward::is_firewalld(const Hook& hook) {
    return hook.table == kTable;
}

bool ForeignForward::is_firewalld_reload(const Hook& hook) {
    return hook.table == kReloadTable;
}

bool ForeignForward::firewalld_names_us(const Hook& hook) {
    const auto all = nft_.list_json("list table " + hook.family + ' ' + kTable, "read firewalld");
    return all.dump().find('"' + settings_.bridge + '"') != std::string::npos;
}

/** Why our interfaces could not be put into the zone; empty when they could. */
std::string ForeignForward::trust_by_firewalld() {
    if (!os::has_program(kProgram)) {
        return "the program firewall-cmd is not installed";
    }
    try {
        if (const auto state = firewall_cmd({"--state"}); first_line(state.output) != "running") {
            return "firewalld says '" + first_line(state.output) + '\'';
        }
        // The bridge last: where it is named, all was done.
        for (const std::string& name : {settings_.port_prefix + '+', settings_.bridge}) {
            const auto result = firewall_cmd(
                {std::string{"--zone="} + kZone, std::string{"--change-interface="} + name});
            if (result.status != 0) {
                return "firewalld says '" + first_line(result.output) + '\'';
            }
        }
    } catch (const std::system_error& error) {
        return error.what();
    }
    return "firewalld took the interfaces and has no rules for them";
}

void ForeignForward::judge_firewalld(const Hook& hook, Outcome& outcome) {
    if (firewalld_names_us(hook)) {
        return; // we, or its owner
    }
    if (const auto now = std::chrono::steady_clock::now(); now >= next_firewalld_) {
        firewalld_refusal_ = trust_by_firewalld();
        if (firewalld_names_us(hook)) {
            outcome.changed = true;
            return;
        }
        next_firewalld_ = now + kPause;
    }
    outcome.problems.push_back(
        "table " + hook.family + ' ' + hook.table + " chain " + hook.chain +
        " drops pods' forwarded traffic: run 'firewall-cmd --permanent --zone=" + kZone +
        " --add-interface=" + settings_.bridge + " --add-interface=" + settings_.port_prefix +
        "+' and 'firewall-cmd --reload' (this trusts pods towards this host, too); we could not: " +
        firewalld_refusal_);
}

/** What its owner has put into the permanent configuration stays. */
void ForeignForward::remove_firewalld() {
    const std::vector<Hook> hooks = forward_hooks();
    if (std::ranges::none_of(hooks, is_firewalld) || !os::has_program(kProgram) ||
        first_line(firewall_cmd({"--state"}).output) != "running") {
        return;
    }
    for (const std::string& name : {settings_.bridge, settings_.port_prefix + '+'}) {
        const std::string asked = "--get-zone-of-interface=" + name;
        if (firewall_cmd({"--permanent", asked}).status == 0) {
            continue;
        }
        if (first_line(firewall_cmd({asked}).output) == kZone) {
            const auto result =
                firewall_cmd({std::string{"--zone="} + kZone, "--remove-interface=" + name});
            if (result.status != 0) {
                os::throw_sentence(EIO,
                                   "cannot take " + name + " out of firewalld's zone " + kZone +
                                       ": " + first_line(result.output));
            }
        }
    }
}

} // namespace weave::attach
