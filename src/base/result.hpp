// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/system/result.hpp>

#include <system_error>

namespace weave {

/** A value or an error code: the idiom of machines and codecs. std::expected can replace it one
 * day. */
template <class T> using Result = boost::system::result<T, std::error_code>;

} // namespace weave
