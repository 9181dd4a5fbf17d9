// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace weave::daemon::log {
namespace {

spdlog::level::level_enum level_of(Level level) {
    switch (level) {
    case Level::debug:
        return spdlog::level::debug;
    case Level::info:
        return spdlog::level::info;
    case Level::warning:
        return spdlog::level::warn;
    case Level::error:
        return spdlog::level::err;
    }
    return spdlog::level::info;
}

} // namespace

void init(Level threshold) {
    auto logger = spdlog::stderr_logger_mt("weaved");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    logger->set_level(level_of(threshold));
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

void write(Level level, const std::string& line) {
    spdlog::default_logger_raw()->log(level_of(level), line);
}

bool RateLimit::allow(const std::string& key, TimePoint now) {
    static constexpr std::size_t kMaxKeys = 1000;
    const bool room = buckets_.size() < kMaxKeys || buckets_.contains(key);
    Bucket& bucket = buckets_[room ? key : std::string{}];
    const std::chrono::duration<double> passed = now - bucket.at;
    bucket.tokens = std::min(5.0, bucket.tokens + passed.count());
    bucket.at = now;
    if (bucket.tokens < 1) {
        return false;
    }
    bucket.tokens -= 1;
    return true;
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '"' || c == '\\') {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out + '"';
}

} // namespace weave::daemon::log
