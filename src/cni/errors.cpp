// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/errors.hpp"

#include <weave/error.hpp>

namespace weave::cni {

nlohmann::json error_object(SpecVersion version, const Failure& failure) {
    nlohmann::json out{
        {"cniVersion", text_of(version)}, {"code", failure.code()}, {"msg", failure.what()}};
    if (!failure.details().empty()) {
        out["details"] = failure.details();
    }
    return out;
}

bool is_away(std::error_code error) {
    return error == Errc::not_running || error == Errc::timed_out || error == Errc::disconnected ||
           error == Errc::busy || error == Errc::unavailable;
}

Failure failure_of(std::error_code error, const std::string& sentence) {
    const auto code = [&] {
        if (is_away(error)) {
            return Code::try_again;
        }
        if (error == Errc::invalid) {
            return Code::invalid_config;
        }
        if (error == Errc::permission || error == Errc::system) {
            return Code::io_failure;
        }
        if (error == Errc::exhausted) {
            return Code::exhausted;
        }
        if (error == Errc::conflict) {
            return Code::conflict;
        }
        return error == Errc::not_found ? Code::mismatch : Code::failed;
    };
    return {code(), sentence};
}

} // namespace weave::cni
