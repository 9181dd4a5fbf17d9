// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace weave {

/** The version of the control protocol: a daemon refuses a request of another one. */
inline constexpr unsigned kApiVersion = 1;

/** The version of this library, such as "0.1.0". Client::version() asks the daemon for its own. */
[[nodiscard]] const char* library_version() noexcept;

} // namespace weave
