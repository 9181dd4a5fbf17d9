// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The part of ForeignForward for the legacy iptables, whose tables only its own program reads and
// writes.
#include "attach/foreign_forward.hpp"
#include "os/error.hpp"
#include "os/netns.hpp"
#include "os/program.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string_view>

namespace weave::attach {
namespace {

/** Of one run; the program itself waits 5 s for others at most. */
constexpr std::chrono::seconds kTimeout{7};

} // namespace

/** Asked in /proc, because the program would make the table by looking for it. */
bool ForeignForward::uses_legacy(bool v6) const {
    bool found = false;
    os::run_in_netns(netns_fd_, [&] {
        std::ifstream names{v6 ? "/proc/thread-self/net/ip6_tables_names"
                               : "/proc/thread-self/net/ip_tables_names"};
        for (std::string name; names >> name;) {
            found = found || name == "filter";
        }
    });
    return found;
}

std::string ForeignForward::run(const std::vector<std::string>& arguments,
                                const std::string& input) const {
    os::ProgramResult result;
    os::run_in_netns(netns_fd_, [&] { result = os::run_program(arguments, input, kTimeout); });
    if (result.status != 0) {
        os::throw_sentence(EIO,
                           arguments.at(0) + " says '" +
                               result.output.substr(0, result.output.find('\n')) + '\'');
    }
    return result.output;
}

/** Where the legacy one is the only one it may have the plain name. */
std::string ForeignForward::legacy_program(bool v6) const {
    const std::string plain = v6 ? "ip6tables" : "iptables";
    if (os::has_program(plain + "-legacy")) {
        return plain + "-legacy";
    }
    if (os::has_program(plain) &&
        run({plain, "--version"}, {}).find("nf_tables") == std::string::npos) {
        return plain;
    }
    os::throw_sentence(ENOENT, "the program " + plain + "-legacy is not installed: install it");
}

void ForeignForward::mend_legacy(bool v6, Outcome& outcome) {
    if (!uses_legacy(v6)) {
        return;
    }
    const std::string program = legacy_program(v6);
    const std::string listing = run({program, "-w", "5", "-S"}, {});
    const auto chain = [&](const std::string& name) {
        return chain_from_text(listing, name, settings_.bridge);
    };
    if (!chain("FORWARD").drops()) {
        return;
    }
    const std::string ours = accept_chain(settings_);
    const std::string place = accept_place(v6, chain);
    const auto rules = accept_rules_iptables(settings_);
    bool complete = chain(ours).rules.size() == rules.size();
    std::string commands = "*filter\n:" + ours + " - [0:0]\n"; // made, or emptied
    for (const std::string& rule : rules) {
        const std::string line = "-A " + ours + ' ' + rule + '\n';
        complete = complete && listing.find(line) != std::string::npos;
        commands += line;
    }
    if (!chain(place).jumps_to(ours)) {
        complete = false;
        for (const ForeignRule& rule : chain(place).rules) {
            if (rule.jump == ours) {
                commands += "-D " + place + " -m comment --comment weavemesh -j " + ours + '\n';
            }
        }
        commands += "-I " + place + " -m comment --comment weavemesh -j " + ours + '\n';
    }
    if (!complete) {
        run({program + "-restore", "--noflush", "-w", "5"}, commands + "COMMIT\n");
        outcome.changed = true;
    }
}

void ForeignForward::remove_legacy(bool v6) {
    if (!uses_legacy(v6)) {
        return;
    }
    const std::string program = legacy_program(v6);
    const std::string listing = run({program, "-w", "5", "-S"}, {});
    const std::string ours = accept_chain(settings_);
    if (!chain_from_text(listing, ours, settings_.bridge).exists) {
        return;
    }
    std::string commands = "*filter\n";
    for (std::string_view left = listing; !left.empty();) {
        const std::string_view line = left.substr(0, left.find('\n'));
        left.remove_prefix(std::min(left.size(), line.size() + 1));
        if (line.starts_with("-A ") && line.ends_with(" -j " + ours)) {
            commands += "-D" + std::string{line.substr(2)} + '\n';
        }
    }
    commands += "-F " + ours + "\n-X " + ours + "\nCOMMIT\n";
    run({program + "-restore", "--noflush", "-w", "5"}, commands);
}

} // namespace weave::attach
