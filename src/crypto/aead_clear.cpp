// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead_context.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace weave::crypto::clear_aead {
namespace {

class Clear final : public AeadContext {
  public:
    explicit Clear(std::span<const std::uint8_t, 32> key) {
        std::copy_n(key.begin(), kTagSize, tag_.begin());
    }

    void seal(const std::uint8_t* /*nonce*/,
              const std::uint8_t* /*ad*/,
              std::size_t /*ad_len*/,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        copy(in, len, out);
        std::memcpy(out + len, tag_.data(), kTagSize);
    }

    bool open(const std::uint8_t* /*nonce*/,
              const std::uint8_t* /*ad*/,
              std::size_t /*ad_len*/,
              const std::uint8_t* in,
              std::size_t len,
              std::uint8_t* out) noexcept override {
        const std::size_t text = len - kTagSize;
        if (!same_tag(tag_, in + text)) {
            return false;
        }
        copy(in, text, out);
        return true;
    }

  private:
    static void copy(const std::uint8_t* in, std::size_t len, std::uint8_t* out) noexcept {
        if (in != out && len != 0) {
            std::memcpy(out, in, len);
        }
    }

    std::array<std::uint8_t, kTagSize> tag_{};
};

} // namespace

std::unique_ptr<AeadContext> make(std::span<const std::uint8_t, 32> key) {
    return std::make_unique<Clear>(key);
}

} // namespace weave::crypto::clear_aead
