// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace weave::crypto {

/** Overwrites memory in a way the compiler may not remove. */
void wipe(ByteSpan bytes) noexcept;

/**
 * N bytes of key material. Not copyable by accident (clone() is the explicit way), wiped when it
 * goes or is moved from.
 */
template <std::size_t N> class SecretBytes {
  public:
    SecretBytes() = default;

    explicit SecretBytes(const std::array<std::uint8_t, N>& bytes)
        : bytes_(bytes) {}

    explicit SecretBytes(std::span<const std::uint8_t, N> bytes) {
        std::copy(bytes.begin(), bytes.end(), bytes_.begin());
    }

    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;

    SecretBytes(SecretBytes&& other) noexcept
        : bytes_(other.bytes_) {
        wipe(other.bytes_);
    }

    SecretBytes& operator=(SecretBytes&& other) noexcept {
        if (this != &other) {
            bytes_ = other.bytes_;
            wipe(other.bytes_);
        }
        return *this;
    }

    ~SecretBytes() { wipe(bytes_); }

    [[nodiscard]] SecretBytes clone() const { return SecretBytes(bytes_); }

    [[nodiscard]] std::span<std::uint8_t, N> span() { return bytes_; }

    [[nodiscard]] std::span<const std::uint8_t, N> view() const { return bytes_; }

    [[nodiscard]] static constexpr std::size_t size() { return N; }

  private:
    std::array<std::uint8_t, N> bytes_{};
};

/** Memory between guard pages, kept from swap and core files as far as RLIMIT_MEMLOCK allows.
 * Throws std::bad_alloc. */
void* allocate_locked(std::size_t size);
/** Wipes it, too. */
void free_locked(void* memory) noexcept;

/** A long-term secret in locked memory. Copies share it; nobody changes it. */
template <class T> class Locked {
    static_assert(alignof(T) == 1, "locked memory ends at a page's end and is not aligned");

  public:
    /** Takes the value, which is then wiped where it was. */
    Locked(T&& value) // NOLINT(google-explicit-constructor): a secret is as good as its value
        : value_(new (allocate_locked(sizeof(T))) T(std::move(value)), [](T* gone) {
            gone->~T();
            free_locked(gone);
        }) {}

    const T& operator*() const { return *value_; }

    const T* operator->() const { return value_.get(); }

  private:
    std::shared_ptr<const T> value_;
};

/** A symmetric key, an X25519 secret or an Ed25519 seed. */
using Key32 = SecretBytes<32>;
/** An X25519 or Ed25519 public key. */
using PublicKey = std::array<std::uint8_t, 32>;
/** An Ed25519 signature. */
using Signature = std::array<std::uint8_t, 64>;

} // namespace weave::crypto
