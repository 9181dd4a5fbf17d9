// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace weave::api {

/** Owns one file descriptor; -1 is none. Move-only. */
class Descriptor {
  public:
    Descriptor() = default;

    explicit Descriptor(int fd)
        : fd_(fd) {}

    Descriptor(Descriptor&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset(other.release());
        }
        return *this;
    }

    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const { return fd_; }

    [[nodiscard]] int release() { return std::exchange(fd_, -1); }

    explicit operator bool() const { return fd_ >= 0; }

    void reset(int fd = -1) noexcept;

  private:
    int fd_ = -1;
};

} // namespace weave::api
