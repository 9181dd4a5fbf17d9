// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "fastpath/program.hpp"

#include "os/error.hpp"

#include <bpf/libbpf.h>

namespace weave::fastpath {

void Program::Close::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

Program::Program(std::span<const std::uint8_t> bytes, const std::string& name) {
    // What it says of failures, to standard error, is in the sentences here.
    libbpf_set_print(nullptr);
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name.c_str());
    object_.reset(bpf_object__open_mem(bytes.data(), bytes.size(), &options));
    if (!object_) {
        os::throw_errno("cannot read the eBPF program");
    }
    if (const int error = bpf_object__load(object_.get())) {
        os::throw_error(-error, "the kernel does not take the eBPF program");
    }
    fd_ = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), name.c_str()));
}

Program::~Program() = default;

int Program::fd() const {
    return fd_;
}

int Program::map(const char* name) const {
    return bpf_object__find_map_fd_by_name(object_.get(), name);
}

} // namespace weave::fastpath
