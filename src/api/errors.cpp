// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/errors.hpp"

#include "base/version.hpp"

#include <weave/error.hpp>
#include <weave/version.hpp>

#include <array>

namespace weave {

namespace {

struct Entry {
    Errc code;
    const char* name; // as in a reply of the control protocol
    const char* text;
};

constexpr std::array kEntries{
    Entry{Errc::not_running, "not_running", "weaved is not running on this host"},
    Entry{Errc::permission, "permission", "no permission to use the control socket"},
    Entry{Errc::timed_out, "timed_out", "weaved did not answer in time"},
    Entry{Errc::disconnected, "disconnected", "not connected to weaved"},
    Entry{Errc::protocol, "protocol", "the answer does not follow the control protocol"},
    Entry{Errc::too_large, "too_large", "a message is above the limit of 1 MiB"},
    Entry{Errc::bad_request, "bad_request", "weaved could not read the request"},
    Entry{Errc::unknown_method, "unknown_method", "weaved does not know this method"},
    Entry{Errc::wrong_version, "wrong_version", "weaved speaks another version of the protocol"},
    Entry{Errc::invalid, "invalid", "a parameter is not acceptable"},
    Entry{Errc::not_found, "not_found", "there is no such thing"},
    Entry{Errc::conflict, "conflict", "it clashes with what exists"},
    Entry{Errc::busy, "busy", "weaved has too much to do"},
    Entry{Errc::internal, "internal", "weaved failed; its log has more"},
    Entry{Errc::system, "system", "a system call failed"},
    Entry{Errc::exhausted, "exhausted", "there is no free address"},
    Entry{Errc::unavailable, "unavailable", "weaved cannot serve this now"},
};

class Category : public std::error_category {
  public:
    [[nodiscard]] const char* name() const noexcept override { return "weave"; }

    [[nodiscard]] std::string message(int code) const override {
        for (const Entry& entry : kEntries) {
            if (static_cast<int>(entry.code) == code) {
                return entry.text;
            }
        }
        return "unknown error";
    }
};

} // namespace

const std::error_category& error_category() noexcept {
    static const Category category;
    return category;
}

const char* error_name(Errc code) noexcept {
    for (const Entry& entry : kEntries) {
        if (entry.code == code) {
            return entry.name;
        }
    }
    return "internal";
}

const char* library_version() noexcept {
    return WEAVE_VERSION;
}

namespace api {

Errc errc_of(std::string_view name) {
    for (const Entry& entry : kEntries) {
        if (entry.name == name) {
            return entry.code;
        }
    }
    return Errc::internal;
}

} // namespace api
} // namespace weave
