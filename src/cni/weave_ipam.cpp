// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/ipam_plugin.hpp"

int main(int argc, char** argv) {
    weave::cni::IpamPlugin plugin;
    return weave::cni::plugin_main(plugin, "weave-ipam", argc, argv);
}
