// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/delegate.hpp"
#include "cni/plugin.hpp"
#include "cni/pod.hpp"
#include "cni/weaved.hpp"

#include <weave/types.hpp>

namespace weave::cni {

/** weave-cni: a main plugin, which puts an interface into a container. weaved makes it. */
class AttachPlugin : public Plugin {
  public:
    explicit AttachPlugin(Patience patience = {})
        : patience_(patience) {}

    Result add(const Call& call) override;
    void del(const Call& call) override;
    void check(const Call& call) override;
    void status(const Call& call) override;
    void gc(const Call& call, const std::vector<Attachment>& valid) override;

  private:
    struct Undo;

    Result add_own(const Call& call, const Pod& pod, Weaved& weaved, Undo& undo) const;
    Result add_delegated(const Call& call, const Pod& pod, Weaved& weaved, Undo& undo) const;
    [[nodiscard]] Delegate delegate(const Call& call) const;

    Patience patience_;
};

/** The request to weaved for a call of ADD, without addresses when another plugin has them. */
AttachRequest attach_request(const Call& call, const LinkConfig& link);

/**
 * The result of ADD after weaved made the interface: its host end, the interface, and its
 * addresses, which are `ipam`'s when another plugin handed them out (else nullptr).
 */
Result attached_result(const Call& call, const AttachmentRow& row, const Result* ipam);

/** Beside the others: the node is a routed pod's way to everything in any case. */
void tell_default_routes(Result& result);

/**
 * The routes of a result as the container's kernel gets them: each that names no gateway has that
 * of its family, or, without one, is on the link.
 */
std::vector<Route> kernel_routes(const Result& result);

} // namespace weave::cni
