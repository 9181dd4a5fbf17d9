// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/weaved_verbs.hpp"

#include "cni/errors.hpp"
#include "cni/steps.hpp"

#include <weave/error.hpp>

#include <algorithm>

namespace weave::cni {

namespace {

// Tombstones of others that one call works off: a call has work of its own.
constexpr std::size_t kSettledPerCall = 16;

Tombstones::Remove remover(Weaved& weaved) {
    return [&weaved](const std::string& id, const std::string& ifname, const std::string& holder) {
        return !weaved.remove(id, ifname, holder);
    };
}

} // namespace

void check_length(const AttachmentName& name) {
    if (name.id().size() > kMaxId) {
        throw Failure(Code::invalid_config,
                      "the network's name and CNI_CONTAINERID are " +
                          std::to_string(name.id().size()) + " characters as '" + name.id() +
                          "', more than " + std::to_string(kMaxId) + ": shorten the name");
    }
}

void remove_or_bury(const Call& call, Weaved& weaved) {
    const AttachmentName name = call.name();
    if (name.id().size() > kMaxId) {
        return; // never added
    }
    const Tombstones tombstones(call.config.state_dir);
    const std::error_code error = weaved.remove(name);
    if (is_away(error)) {
        tombstones.write(name);
    } else if (error) {
        weaved.fail(error);
    } else {
        tombstones.settle(name, [](const auto&...) { return true; });
        settle_others(call, weaved);
    }
}

void settle_before_add(const Call& call, Weaved& weaved) {
    std::error_code error;
    const bool settled =
        Tombstones(call.config.state_dir)
            .settle(call.name(), [&](const auto& id, const auto& ifname, const auto& holder) {
                error = weaved.remove(id, ifname, holder);
                return !error;
            });
    if (error) {
        weaved.fail(error);
    }
    if (!settled) {
        throw Failure(Code::io_failure,
                      "a file in " + Tombstones(call.config.state_dir).folder() +
                          " cannot be removed");
    }
}

void settle_others(const Call& call, Weaved& weaved) {
    Tombstones(call.config.state_dir).settle_some(kSettledPerCall, remover(weaved));
}

Readiness require_answer(Weaved& weaved) {
    std::error_code error;
    Readiness readiness = weaved.ask(
        error, [](Client& client, std::error_code& failed) { return client.ready(failed); });
    if (error) {
        throw Failure(Code::not_available, weaved.sentence());
    }
    return readiness;
}

void require_ready(Weaved& weaved) {
    const Readiness readiness = require_answer(weaved);
    if (!readiness.ready) {
        throw Failure(Code::not_available,
                      readiness.reason.empty() ? "weaved is not ready: see 'weavectl status'"
                                               : readiness.reason);
    }
}

void collect(const Call& call, const std::vector<Attachment>& valid, Weaved& weaved) {
    CollectRequest request;
    request.prefix = AttachmentName{call.config.name, "", ""}.id();
    for (const Attachment& each : valid) {
        request.valid.push_back(
            AttachmentName{call.config.name, each.container_id, each.ifname}.holder());
    }
    Steps steps;
    steps.run([&] {
        weaved.require([&](Client& client, std::error_code& failed) {
            return client.ipam_collect(request, failed);
        });
    });
    // Attachments whose addresses are none of the allocator's have no holder there.
    std::vector<AttachmentRow> rows;
    steps.run([&] {
        rows = weaved.require(
            [](Client& client, std::error_code& failed) { return client.attachments(failed); });
    });
    for (const AttachmentRow& row : rows) {
        const std::string holder = row.id + "/" + row.ifname;
        const bool stays =
            !row.id.starts_with(request.prefix) ||
            std::find(request.valid.begin(), request.valid.end(), holder) != request.valid.end();
        if (stays) {
            continue;
        }
        steps.run([&] {
            if (const auto error = weaved.remove(row.id, row.ifname, holder)) {
                weaved.fail(error);
            }
        });
    }
    steps.finish();
}

void require_held(const Call& call, const std::vector<Ip>& ips, Weaved& weaved) {
    std::error_code error;
    const auto held = weaved.ask(error, [&](Client& client, std::error_code& failed) {
        return client.ipam_check(call.name().holder(), failed);
    });
    if (error) {
        weaved.fail(error);
    }
    // The length is the interface's, not the holder's.
    const auto holds = [&](const IpAddress& address) {
        return std::any_of(held.begin(), held.end(), [&](const std::string& each) {
            const auto prefix = Prefix::parse(each);
            return prefix && prefix->address == address;
        });
    };
    for (const Ip& ip : ips) {
        if (!holds(ip.address.address)) {
            throw Failure(Code::mismatch,
                          "weaved does not hold the address " + ip.address.text() +
                              " for this container any longer");
        }
    }
}

} // namespace weave::cni
