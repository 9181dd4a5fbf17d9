// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "cni/decode.hpp"

#include "cni/errors.hpp"

#include <algorithm>
#include <limits>

namespace weave::cni {

using nlohmann::json;

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_letters(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return lower(x) == lower(y);
    });
}

[[noreturn]] void refuse(std::string_view name, const char* wanted) {
    throw Failure(Code::decode_failure, "'" + std::string(name) + "' is not " + wanted);
}

} // namespace

json parse_object(std::string_view text, const std::string& what) {
    json out = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (out.is_discarded()) {
        throw Failure(Code::decode_failure, what + " is not valid JSON");
    }
    if (!out.is_object()) {
        throw Failure(Code::decode_failure, what + " is not a JSON object");
    }
    return out;
}

const json* find(const json& object, std::string_view name) {
    auto found = object.find(name);
    for (auto at = object.begin(); found == object.end() && at != object.end(); ++at) {
        if (same_letters(at.key(), name)) {
            found = at;
        }
    }
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_at(const json& object, std::string_view name) {
    const json* value = find(object, name);
    if (value != nullptr && !value->is_string()) {
        refuse(name, "a text");
    }
    return value == nullptr ? std::string{} : value->get<std::string>();
}

std::vector<std::string> texts_at(const json& object, std::string_view name) {
    std::vector<std::string> out;
    const json* value = find(object, name);
    if (value == nullptr) {
        return out;
    }
    if (!value->is_array()) {
        refuse(name, "a list of texts");
    }
    for (const json& entry : *value) {
        if (!entry.is_string()) {
            refuse(name, "a list of texts");
        }
        out.push_back(entry.get<std::string>());
    }
    return out;
}

std::vector<std::string> one_or_more_at(const json& object, std::string_view name) {
    const json* value = find(object, name);
    if (value != nullptr && value->is_string()) {
        return {value->get<std::string>()};
    }
    return texts_at(object, name);
}

std::optional<std::uint32_t> number_at(const json& object, std::string_view name) {
    const json* value = find(object, name);
    if (value == nullptr) {
        return std::nullopt;
    }
    const bool fits = value->is_number_integer() && *value >= 0 &&
                      *value <= std::numeric_limits<std::uint32_t>::max();
    if (!fits) {
        refuse(name, "a number from 0 to 4294967295");
    }
    return value->get<std::uint32_t>();
}

const json* object_at(const json& object, std::string_view name) {
    const json* value = find(object, name);
    if (value != nullptr && !value->is_object()) {
        refuse(name, "an object");
    }
    return value;
}

std::vector<const json*> objects_at(const json& object, std::string_view name) {
    std::vector<const json*> out;
    const json* value = find(object, name);
    if (value == nullptr) {
        return out;
    }
    if (!value->is_array()) {
        refuse(name, "a list of objects");
    }
    for (const json& entry : *value) {
        if (!entry.is_object()) {
            refuse(name, "a list of objects");
        }
        out.push_back(&entry);
    }
    return out;
}

IpAddress as_address(const std::string& text, std::string_view name) {
    const auto out = IpAddress::parse(text);
    if (!out) {
        throw Failure(Code::invalid_config,
                      std::string(name) + " '" + text +
                          "' is not an address: write it as 10.32.0.1 or fd00::1");
    }
    return *out;
}

Prefix as_prefix(const std::string& text, std::string_view name) {
    const auto out = Prefix::parse(text);
    if (!out || text.find('/') == std::string::npos) {
        throw Failure(Code::invalid_config,
                      std::string(name) + " '" + text +
                          "' is not an address with a prefix length: write it as 10.32.0.0/12");
    }
    return *out;
}

} // namespace weave::cni
