// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Lists the peers this node cannot reach directly: a small program against the public client
// library. Usage: client [SOCKET]

#include <weave/client.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    try {
        weave::Client client =
            argc > 1 ? weave::Client::connect(argv[1]) : weave::Client::connect();
        const weave::NodeStatus node = client.status();
        std::printf("%s runs weaved %s\n", node.name.c_str(), node.version.c_str());
        for (const weave::PeerRow& peer : client.peers()) {
            if (peer.path != "direct") {
                std::printf("%s: %s\n", peer.name.c_str(), peer.path.c_str());
            }
        }
    } catch (const weave::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return error.code() == weave::Errc::not_running ? 3 : 1;
    }
    return 0;
}
