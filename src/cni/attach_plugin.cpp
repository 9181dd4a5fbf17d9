// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/attach_plugin.hpp"

#include "cni/errors.hpp"
#include "cni/host_end.hpp"
#include "cni/steps.hpp"
#include "cni/weaved_verbs.hpp"

#include <weave/error.hpp>

#include <algorithm>
#include <functional>
#include <utility>

namespace weave::cni {

namespace {

// This plugin leases an address through the interface that gets it.
constexpr const char* kNeedsInterface = "dhcp";
// What weaved is asked for then.
constexpr const char* kNoAddress = "none";

/** weaved may have done it, though it did not say so. */
bool is_uncertain(std::error_code error) {
    return error == Errc::timed_out || error == Errc::disconnected || error == Errc::protocol ||
           error == Errc::system;
}

std::optional<AttachmentRow>
find_row(const std::vector<AttachmentRow>& rows, const std::string& id, const std::string& ifname) {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const AttachmentRow& row) {
        return row.id == id && row.ifname == ifname;
    });
    return found == rows.end() ? std::nullopt : std::optional(*found);
}

} // namespace

/** What is to be done, the last first, unless the ADD succeeds; what fails then is left. */
struct AttachPlugin::Undo {
    Undo() = default;
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;

    ~Undo() {
        for (auto at = steps.rbegin(); at != steps.rend(); ++at) {
            try {
                (*at)();
            } catch (const std::exception&) { // NOLINT: the failure that led here is what is told
            }
        }
    }

    std::vector<std::function<void()>> steps;
};

namespace {

/** Asks weaved to attach; `bury` undoes what it made. */
AttachmentRow attach(Weaved& weaved,
                     const Pod& pod,
                     const AttachRequest& request,
                     std::vector<std::function<void()>>& undo,
                     const std::function<void()>& bury) {
    std::error_code error;
    AttachmentRow row = weaved.ask(error, [&](Client& client, std::error_code& failed) {
        return client.attach(pod.fd(), request, failed);
    });
    if (!error || is_uncertain(error)) {
        undo.push_back(bury);
    }
    if (error) {
        weaved.fail(error);
    }
    // One that knows no modes makes ports of the bridge.
    const std::string mode = row.mode.empty() ? "bridge" : row.mode;
    if (mode != request.mode) {
        throw Failure(Code::unsupported_field,
                      "the key 'mode' has the value '" + request.mode +
                          "', which this weaved does not support: it attached in mode '" + mode +
                          "'");
    }
    return row;
}

} // namespace

namespace {

/** Where another interface is the way already, none of ours was made: that is not promised. */
void tell_made_routes(Result& result, const Pod& pod, const AttachmentRow& row) {
    if (row.mode == "routed") {
        tell_default_routes(result);
    }
    const std::vector<bool> made = pod.has_routes(kernel_routes(result));
    std::vector<Route> kept;
    for (std::size_t i = 0; i < made.size(); ++i) {
        if (made[i]) {
            kept.push_back(result.routes[i]);
        }
    }
    result.routes = std::move(kept);
}

} // namespace

Delegate AttachPlugin::delegate(const Call& call) const {
    return {call.config.ipam.type, call.environment, call.config.text, patience_.delegate};
}

Result AttachPlugin::add_own(const Call& call, const Pod& pod, Weaved& weaved, Undo& undo) const {
    const AttachRequest request =
        attach_request(call, read_link_config(call.json, call.environment));
    const AttachmentRow row =
        attach(weaved, pod, request, undo.steps, [&] { remove_or_bury(call, weaved); });
    Result out = attached_result(call, row, nullptr);
    if (request.routes == false) {
        pod.add_routes(kernel_routes(out));
    }
    tell_made_routes(out, pod, row);
    return out;
}

Result
AttachPlugin::add_delegated(const Call& call, const Pod& pod, Weaved& weaved, Undo& undo) const {
    AttachRequest request = attach_request(call, read_link_config(call.json, call.environment));
    const Delegate ipam_plugin = delegate(call);
    const auto bury = [&] { remove_or_bury(call, weaved); };
    if (call.config.ipam.type == kNeedsInterface) {
        if (request.mode != "bridge") {
            throw Failure(Code::unsupported_field,
                          "the key 'mode' has the value '" + request.mode +
                              "', which the IPAM plugin dhcp cannot be used with: use 'bridge'");
        }
        request.addresses = {kNoAddress};
        attach(weaved, pod, request, undo.steps, bury);
    }
    undo.steps.emplace_back([ipam_plugin] { ipam_plugin.call("DEL"); });
    const Result ipam = ipam_plugin.add();
    request.addresses.clear();
    for (const Ip& ip : ipam.ips) {
        request.addresses.push_back(ip.address.text());
    }
    const AttachmentRow row = attach(weaved, pod, request, undo.steps, bury);
    Result out = attached_result(call, row, &ipam);
    pod.add_routes(kernel_routes(out));
    tell_made_routes(out, pod, row);
    return out;
}

Result AttachPlugin::add(const Call& call) {
    check_length(call.name());
    const Pod pod(call.environment);
    Weaved weaved(call.config.socket, patience_.daemon);
    settle_before_add(call, weaved);
    pod.require_free();
    Undo undo;
    Result own = call.config.delegates() ? add_delegated(call, pod, weaved, undo)
                                         : add_own(call, pod, weaved, undo);
    undo.steps.clear();
    settle_others(call, weaved);
    return call.config.previous ? append(*call.config.previous, own) : own;
}

void AttachPlugin::del(const Call& call) {
    Weaved weaved(call.config.socket, {});
    Steps steps;
    steps.run([&] { remove_or_bury(call, weaved); });
    if (call.config.delegates()) {
        steps.run([&] { delegate(call).call("DEL"); });
    }
    steps.finish();
}

void AttachPlugin::check(const Call& call) {
    const Pod pod(call.environment);
    if (call.config.delegates()) {
        delegate(call).call("CHECK");
    }
    Weaved weaved(call.config.socket, {});
    const auto rows = weaved.require(
        [](Client& client, std::error_code& failed) { return client.attachments(failed); });
    const auto row = find_row(rows, call.name().id(), call.environment.ifname);
    if (!row || row->netns_inode != pod.inode()) {
        throw Failure(Code::mismatch, "weaved has not attached this container");
    }
    const Result& expected = *call.config.previous;
    const auto addresses = addresses_of(expected, call.environment.ifname, call.environment.netns);
    if (!call.config.delegates()) {
        require_held(call, addresses, weaved);
    }
    await_match([&] { return pod.find_mismatch(expected); }, patience_.check);
    await_match([&] { return find_host_mismatch(expected, addresses, *row); }, patience_.check);
}

void AttachPlugin::status(const Call& call) {
    Weaved weaved(call.config.socket, {});
    if (!call.config.delegates()) {
        require_ready(weaved);
        return;
    }
    require_answer(weaved); // whether there are addresses is the other plugin's to say
    try {
        delegate(call).call("STATUS");
    } catch (const Failure& failure) {
        if (failure.is(Code::limited)) {
            throw;
        }
        throw Failure(
            static_cast<unsigned>(Code::not_available), failure.what(), failure.details());
    }
}

void AttachPlugin::gc(const Call& call, const std::vector<Attachment>& valid) {
    Weaved weaved(call.config.socket, {});
    Steps steps;
    steps.run([&] { collect(call, valid, weaved); });
    steps.run([&] { settle_others(call, weaved); });
    if (call.config.delegates()) {
        steps.run([&] { delegate(call).call("GC"); });
    }
    steps.finish();
}

} // namespace weave::cni
