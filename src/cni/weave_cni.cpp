// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/attach_plugin.hpp"

int main(int argc, char** argv) {
    weave::cni::AttachPlugin plugin;
    return weave::cni::plugin_main(plugin, "weave-cni", argc, argv);
}
