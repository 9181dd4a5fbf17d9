// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct bpf_object;

namespace weave::fastpath {

/** One eBPF program with its maps, loaded into the kernel: gone with the object, except where the
 * kernel still runs it. */
class Program {
  public:
    /** `bytes` is the object file, `name` the program in it. Throws std::system_error. */
    Program(std::span<const std::uint8_t> bytes, const std::string& name);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /** These descriptors stay the object's. */
    [[nodiscard]] int fd() const;
    [[nodiscard]] int map(const char* name) const;

  private:
    struct Close {
        void operator()(bpf_object* object) const;
    };

    std::unique_ptr<bpf_object, Close> object_;
    int fd_ = -1;
};

} // namespace weave::fastpath
