// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/umem.hpp"

#include "os/error.hpp"

#include <sys/mman.h>

namespace weave::fastpath {
namespace {

/** Ethernet header, and a VLAN tag that the hardware may leave in. */
constexpr std::size_t kLinkHeader = 14 + 4;

} // namespace

void Umem::Unmap::operator()(std::uint8_t* memory) const {
    ::munmap(memory, size);
}

std::size_t Umem::frame_size(std::size_t mtu) {
    for (const std::size_t size : {std::size_t{2048}, std::size_t{4096}}) {
        if (mtu + kLinkHeader + kHeadroom <= size) {
            return size;
        }
    }
    return 0;
}

Umem::Umem(std::size_t frame_size, unsigned sockets)
    : frame_size_(frame_size) {
    const std::size_t size = frame_size * kSocketFrames * sockets;
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        os::throw_errno("no memory for AF_XDP frames");
    }
    memory_ = {static_cast<std::uint8_t*>(memory), Unmap{size}};
    xsk_umem_config config{};
    config.fill_size = kReceiveFrames;
    config.comp_size = kSendFrames;
    config.frame_size = static_cast<std::uint32_t>(frame_size);
    if (const int error =
            xsk_umem__create(&umem_, memory_.get(), size, &fill_, &completed_, &config)) {
        os::throw_error(-error, "cannot share memory with AF_XDP");
    }
}

Umem::~Umem() {
    xsk_umem__delete(umem_);
}

} // namespace weave::fastpath
