// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/environment.hpp"

#include "cni/errors.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace weave::cni {

namespace {

constexpr std::array<std::pair<const char*, Verb>, 6> kVerbs{{{"ADD", Verb::add},
                                                              {"DEL", Verb::del},
                                                              {"CHECK", Verb::check},
                                                              {"STATUS", Verb::status},
                                                              {"GC", Verb::gc},
                                                              {"VERSION", Verb::version}}};
constexpr std::size_t kMaxIfname = 15; // IFNAMSIZ of the kernel, without the zero at the end

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_ifname(const std::string& text) {
    return !text.empty() && text.size() <= kMaxIfname && text != "." && text != ".." &&
           std::ranges::all_of(text,
                               [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
}

[[noreturn]] void refuse(const std::string& sentence) {
    throw Failure(Code::invalid_environment, sentence);
}

Verb read_verb(const std::string& text) {
    const auto* found = std::find_if(
        kVerbs.begin(), kVerbs.end(), [&](const auto& entry) { return entry.first == text; });
    if (found == kVerbs.end()) {
        refuse(text.empty() ? "CNI_COMMAND is not set: this is a CNI plugin, which a container "
                              "runtime starts"
                            : "CNI_COMMAND '" + text +
                                  "' is not known: it is ADD, DEL, CHECK, STATUS, GC or VERSION");
    }
    return found->second;
}

void require_all(const std::vector<std::pair<const char*, bool>>& required) {
    std::string missing;
    for (const auto& [name, is_set] : required) {
        if (!is_set) {
            missing += (missing.empty() ? "" : ", ") + std::string(name);
        }
    }
    if (!missing.empty()) {
        refuse("required environment variables are missing: " + missing);
    }
}

} // namespace

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> out;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(separator, begin), text.size());
        if (end > begin) {
            out.push_back(text.substr(begin, end - begin));
        }
        begin = end + 1;
    }
    return out;
}

bool is_name(const std::string& text) {
    return !text.empty() && is_letter_or_digit(text.front()) &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
           });
}

Environment read_environment(const Variables& variables) {
    Environment out;
    out.verb = read_verb(variables("CNI_COMMAND"));
    if (out.verb == Verb::version) {
        return out;
    }
    out.container_id = variables("CNI_CONTAINERID");
    out.netns = variables("CNI_NETNS");
    out.ifname = variables("CNI_IFNAME");
    out.args = variables("CNI_ARGS");
    out.path = split(variables("CNI_PATH"), ':');
    const bool of_a_pod = out.verb != Verb::status && out.verb != Verb::gc;
    require_all({{"CNI_CONTAINERID", !of_a_pod || !out.container_id.empty()},
                 {"CNI_NETNS", !of_a_pod || out.verb == Verb::del || !out.netns.empty()},
                 {"CNI_IFNAME", !of_a_pod || !out.ifname.empty()},
                 {"CNI_PATH", !out.path.empty()}});
    if (of_a_pod && !is_name(out.container_id)) {
        refuse("CNI_CONTAINERID '" + out.container_id +
               "' is not valid: it has letters, digits, '_', '.' and '-', and begins with a "
               "letter or digit");
    }
    if (of_a_pod && !is_ifname(out.ifname)) {
        refuse("CNI_IFNAME '" + out.ifname +
               "' is not valid: it has 1 to 15 ASCII characters, no space, '/' or ':', and is not "
               "a dot "
               "or two");
    }
    return out;
}

Arguments read_arguments(const std::string& args) {
    Arguments out;
    for (const std::string& pair : split(args, ';')) {
        const std::size_t equal = pair.find('=');
        if (equal == std::string::npos || equal == 0) {
            refuse("CNI_ARGS has '" + pair + "', which is not KEY=VALUE");
        }
        const std::string key = pair.substr(0, equal);
        const std::string value = pair.substr(equal + 1);
        if (key == "IP") {
            out.addresses = split(value, ',');
        } else if (key == "MAC") {
            out.mac = value;
        }
    }
    return out;
}

} // namespace weave::cni
