// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/node_state.hpp"

#include "daemon/options.hpp"
#include "os/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace weave::daemon {
namespace {

constexpr const char* kIdentityFile = "identity.key";
constexpr const char* kEpochFile = "boot-epoch";
constexpr const char* kTargetsFile = "targets";
constexpr const char* kExposedFile = "exposed";
constexpr const char* kGivenFile = "attachments";

std::string with_folder(std::string folder) {
    os::ensure_directory(folder, 0700);
    return folder;
}

/** What stands behind the seed: the id of the node it makes. A seed with one bit changed is as good
 * a seed as any, and would make this node another one without a word. */
std::string identity_tail(const crypto::Identity& identity) {
    return "\nnode " + identity.id().text() + '\n';
}

void write_identity(const std::string& path, const crypto::Identity& identity) {
    std::string text = to_hex(identity.seed());
    const std::string tail = identity_tail(identity);
    std::string whole;
    whole.reserve(text.size() + tail.size()); // what reallocates leaves copies of the seed behind
    whole.append(text).append(tail);
    os::write_secret_file(path, as_bytes(whole));
    for (std::string* each : {&text, &whole}) {
        crypto::wipe({reinterpret_cast<std::uint8_t*>(each->data()), each->size()});
    }
}

std::optional<crypto::Identity> parse_identity(ByteView bytes) {
    const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    const auto end = std::min(text.find('\n'), text.size());
    crypto::Key32 seed;
    if (!from_hex(text.substr(0, end), seed.span())) {
        return std::nullopt;
    }
    auto identity = crypto::Identity::from_seed(std::move(seed));
    if (text.substr(end) != identity_tail(identity)) {
        return std::nullopt;
    }
    return identity;
}

std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        out.push_back(line.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

} // namespace

NodeState::NodeState(std::string folder)
    : NodeState(folder, os::LockFile(with_folder(folder) + "/lock")) {
    load_boot_epoch();
}

NodeState::NodeState(std::string folder, os::UniqueFd lock, std::uint64_t boot_epoch)
    : NodeState(folder, os::LockFile(folder + "/lock", std::move(lock))) {
    boot_epoch_ = boot_epoch;
}

NodeState::NodeState(std::string folder, os::LockFile lock)
    : folder_(std::move(folder))
    , lock_(std::move(lock))
    , identity_(load_identity()) {
    targets_ = load_lines(kTargetsFile);
    for (const std::string& line : load_lines(kExposedFile)) {
        if (const auto prefix = Prefix::parse(line)) {
            exposed_.push_back(*prefix);
        }
    }
    load_given();
}

crypto::Identity NodeState::load_identity() {
    auto text = os::read_secret_file(path(kIdentityFile));
    if (!text) {
        if (os::read_checked_file(path(kEpochFile)).state != os::CheckedFile::State::missing) {
            notices_.push_back(
                fmt::format("{} is gone although this node ran before: it starts as a new node",
                            path(kIdentityFile)));
        }
        crypto::Identity fresh = crypto::Identity::generate();
        write_identity(path(kIdentityFile), fresh);
        return fresh;
    }
    auto identity = parse_identity(*text);
    crypto::wipe(*text);
    if (!identity) {
        throw ConfigError(
            fmt::format("{} is damaged: restore it from a backup, or remove it and this node "
                        "starts as a new one",
                        path(kIdentityFile)));
    }
    return std::move(*identity);
}

std::vector<std::string> NodeState::load_lines(const char* name) {
    const os::CheckedFile file = os::read_checked_file(path(name));
    if (file.state == os::CheckedFile::State::corrupt) {
        notices_.push_back(fmt::format(
            "{} was damaged and is kept as {}", path(name), os::set_corrupt_aside(path(name))));
    }
    std::vector<std::string> lines;
    if (file.state != os::CheckedFile::State::ok) {
        return lines;
    }
    std::string_view rest{reinterpret_cast<const char*>(file.contents.data()),
                          file.contents.size()};
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        lines.emplace_back(rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    return lines;
}

void NodeState::save_lines(const char* name, const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + '\n';
    }
    os::write_checked_file(path(name), as_bytes(text), 0600);
}

/** A line for each link: its host end, that one's MAC address, the pod's own, the addresses. */
void NodeState::load_given() {
    for (const std::string& line : load_lines(kGivenFile)) {
        const std::vector<std::string> words = words_of(line);
        const auto mac = words.size() > 1 ? MacAddress::parse(words[1]) : std::nullopt;
        if (!mac) {
            continue; // of a version to come
        }
        GivenAddresses& given = given_[words[0]];
        given.host_mac = *mac;
        given.mac = words.size() > 2 ? MacAddress::parse(words[2]) : std::nullopt;
        for (std::size_t i = given.mac ? 3 : 2; i < words.size(); ++i) {
            if (const auto prefix = Prefix::parse(words[i])) {
                given.addresses.push_back(*prefix);
            }
        }
    }
}

void NodeState::load_boot_epoch() {
    std::uint64_t last = 0;
    for (const std::string& line : load_lines(kEpochFile)) {
        std::uint64_t epoch = 0;
        std::from_chars(line.data(), line.data() + line.size(), epoch);
        last = std::max(last, epoch);
    }
    raise_boot_epoch(last);
}

void NodeState::raise_boot_epoch(std::uint64_t above) {
    constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
    boot_epoch_ = std::max(boot_epoch_, above);
    if (boot_epoch_ != kLast) { // from there it could only fall back to zero
        ++boot_epoch_;
    }
    save_lines(kEpochFile, {std::to_string(boot_epoch_)});
}

void NodeState::save_targets(std::vector<std::string> targets) {
    save_lines(kTargetsFile, targets);
    targets_ = std::move(targets);
}

void NodeState::save_exposed(std::vector<Prefix> exposed) {
    std::vector<std::string> lines;
    for (const Prefix& prefix : exposed) {
        lines.push_back(prefix.text());
    }
    save_lines(kExposedFile, lines);
    exposed_ = std::move(exposed);
}

void NodeState::save_given(std::map<std::string, GivenAddresses> given) {
    std::vector<std::string> lines;
    for (const auto& [host_ifname, each] : given) {
        std::string line = host_ifname + ' ' + each.host_mac.text();
        line += each.mac ? ' ' + each.mac->text() : "";
        for (const Prefix& prefix : each.addresses) {
            line += ' ' + prefix.text();
        }
        lines.push_back(std::move(line));
    }
    save_lines(kGivenFile, lines);
    given_ = std::move(given);
}

} // namespace weave::daemon
