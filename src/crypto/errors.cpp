// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/errors.hpp"

#include <string>

namespace weave::crypto {
namespace {

class Category final : public std::error_category {
  public:
    [[nodiscard]] const char* name() const noexcept override { return "crypto"; }

    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<Error>(value)) {
        case Error::authentication_failed:
            return "the message does not authenticate";
        case Error::malformed:
            return "the message has an impossible length";
        case Error::weak_key:
            return "the public key is of low order";
        case Error::out_of_turn:
            return "the handshake does not expect this message now";
        case Error::missing_key:
            return "a key the handshake needs is missing";
        case Error::unsupported_suite:
            return "this machine has no provider for the cipher suite";
        case Error::exhausted:
            return "the nonces of the key are used up";
        }
        return "unknown error";
    }
};

} // namespace

const std::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

} // namespace weave::crypto
