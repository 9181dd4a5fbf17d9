// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <weave/error.hpp>

#include <string_view>

namespace weave::api {

/** The code a reply names; one that this library does not know yet is Errc::internal. */
[[nodiscard]] Errc errc_of(std::string_view name);

} // namespace weave::api
