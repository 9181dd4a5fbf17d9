// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/programs.hpp"

#include "os/boot_time.hpp"
#include "os/file.hpp"
#include "os/netns.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace weave::daemon {
namespace {

using nlohmann::json;

json to_json(const Programs::Use& use) {
    json addresses = json::array();
    for (const Prefix& each : use.addresses) {
        addresses.push_back(each.text());
    }
    return {{"boot", use.boot}, {"netns", use.netns}, {"addresses", addresses}};
}

Programs::Use from_json(const json& in) {
    Programs::Use out{in.at("boot"), in.at("netns"), {}};
    for (const json& each : in.at("addresses")) {
        if (const auto prefix = Prefix::parse(each.get<std::string>())) {
            out.addresses.push_back(*prefix);
        }
    }
    return out;
}

} // namespace

Programs::Programs(std::string file)
    : file_(std::move(file)) {
    const os::CheckedFile found = os::read_checked_file(file_);
    if (found.state == os::CheckedFile::State::missing) {
        return;
    }
    try {
        if (found.state == os::CheckedFile::State::ok) {
            load({found.contents.begin(), found.contents.end()});
            return;
        }
    } catch (const json::exception&) {
        uses_.clear();
    }
    notice_ = fmt::format("{} was damaged and is kept as {}: addresses of containers that have "
                          "another main plugin come back by their DEL only",
                          file_,
                          os::set_corrupt_aside(file_));
}

void Programs::load(const std::string& text) {
    const json all = json::parse(text);
    for (const auto& [holder, use] : all.items()) {
        uses_.emplace(holder, from_json(use));
    }
}

void Programs::keep(const std::string& holder, Use use) {
    auto after = uses_;
    after[holder] = std::move(use);
    save(std::move(after));
}

void Programs::forget(const std::string& holder) {
    if (uses_.contains(holder)) {
        auto after = uses_;
        after.erase(holder);
        save(std::move(after));
    }
}

bool Programs::is_gone(const std::string& holder) const {
    const auto entry = uses_.find(holder);
    if (entry == uses_.end() || entry->second.netns == 0) {
        return false;
    }
    return entry->second.boot != os::boot_id() || !os::find_netns(entry->second.netns);
}

void Programs::save(std::map<std::string, Use> uses) {
    json out = json::object();
    for (const auto& [holder, use] : uses) {
        out[holder] = to_json(use);
    }
    const std::string text = out.dump();
    os::write_checked_file(file_, as_bytes(text), 0600);
    uses_ = std::move(uses);
}

} // namespace weave::daemon
