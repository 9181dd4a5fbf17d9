// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/steering.hpp"

#include "os/error.hpp"

#include <linux/if_tun.h>
#include <sys/ioctl.h>

namespace weave::fastpath {
namespace {

alignas(8) constexpr std::uint8_t kProgram[] = {
#include "steering_bytes.inc"
};

} // namespace

Steering::Steering()
    : program_(kProgram, "weave_steering") {}

void Steering::attach(int queue) const {
    int program = program_.fd();
    if (::ioctl(queue, TUNSETSTEERINGEBPF, &program) != 0) {
        os::throw_errno("the TAP does not take the eBPF program that picks its queues");
    }
}

} // namespace weave::fastpath
