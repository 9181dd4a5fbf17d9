// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cni/plugin.hpp"

namespace weave::cni {

/**
 * weave-ipam: hands weaved's addresses out for main plugins of others (bridge, macvlan, ...), as
 * an IPAM plugin that they delegate to.
 */
class IpamPlugin : public Plugin {
  public:
    explicit IpamPlugin(Patience patience = {})
        : patience_(patience) {}

    Result add(const Call& call) override;
    void del(const Call& call) override;
    void check(const Call& call) override;
    void status(const Call& call) override;
    void gc(const Call& call, const std::vector<Attachment>& valid) override;

  private:
    Patience patience_;
};

} // namespace weave::cni
