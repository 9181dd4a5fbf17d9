// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/program_leases.hpp"

#include "daemon/holder.hpp"
#include "os/boot_time.hpp"

#include <utility>

namespace weave::daemon {

void ProgramLeases::settle() {
    const auto all = programs_.all();
    for (const auto& [holder, use] : all) {
        if (programs_.is_gone(holder)) {
            log::info("event=addresses_released holder={}", log::quoted(holder::shown(holder)));
            release(holder);
        } else {
            allocations_.claim_in_use(holder, use.addresses);
        }
    }
    // Where the file was lost, nobody knows their namespaces: after the next boot they are gone.
    for (const std::string& holder : allocations_.holders()) {
        if (holder.starts_with(holder::kProgram) && !programs_.all().contains(holder)) {
            keep(holder, 0, allocations_.held_by(holder));
        }
    }
}

void ProgramLeases::keep(const std::string& holder,
                         std::uint64_t netns,
                         std::vector<Prefix> addresses) {
    programs_.keep(holder, {os::boot_id(), netns, std::move(addresses)});
}

std::vector<IpAddress> ProgramLeases::release(const std::string& holder) {
    std::vector<IpAddress> released = allocations_.release(holder);
    programs_.forget(holder);
    return released;
}

void ProgramLeases::release_place(const std::string& holder, ipam::Index place) {
    allocations_.give_back(holder, {place});
    const auto entry = programs_.all().find(holder);
    if (entry == programs_.all().end()) {
        return;
    }
    Programs::Use use = entry->second;
    std::erase_if(use.addresses, [&](const Prefix& each) {
        return allocations_.plan().place_of(each.address) == place;
    });
    if (use.addresses.empty()) {
        programs_.forget(holder);
    } else {
        programs_.keep(holder, std::move(use));
    }
}

} // namespace weave::daemon
