// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Reading members of JSON objects as the plugins' reference in Go does: a name matches exactly, or
// else in any capitals (containerd 1.6 sends "HostPort" and "Servers"), and null is the same as
// nothing. What has another type than expected throws Failure (decode_failure).

namespace weave::cni {

/** A JSON object, or Failure (decode_failure). `what` is for the sentence. */
nlohmann::json parse_object(std::string_view text, const std::string& what);

/** nullptr when there is no such member or it is null. */
const nlohmann::json* find(const nlohmann::json& object, std::string_view name);
/** Empty when there is none. */
std::string text_at(const nlohmann::json& object, std::string_view name);
std::vector<std::string> texts_at(const nlohmann::json& object, std::string_view name);
/** The same where one text may stand for a list of one. */
std::vector<std::string> one_or_more_at(const nlohmann::json& object, std::string_view name);
std::optional<std::uint32_t> number_at(const nlohmann::json& object, std::string_view name);
/** nullptr when there is none. */
const nlohmann::json* object_at(const nlohmann::json& object, std::string_view name);
/** The members of an array of objects; none when there is no such array. */
std::vector<const nlohmann::json*> objects_at(const nlohmann::json& object, std::string_view name);

/** Throw Failure (invalid_config) with the name and what it should be. */
IpAddress as_address(const std::string& text, std::string_view name);
Prefix as_prefix(const std::string& text, std::string_view name);

} // namespace weave::cni
