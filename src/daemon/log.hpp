// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <fmt/format.h>

#include <map>
#include <string>

namespace weave::daemon::log {

enum class Level { debug, info, warning, error };

/** Logs go to standard error, one line per event: time, level, `event=name key=value ...`.
 * Thread-safe. */
void init(Level threshold);
void write(Level level, const std::string& line);

template <class... Args> void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args> void info(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args> void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args> void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

/**
 * A token bucket per key, for whatever a remote peer can cause to be logged: a burst of 5, then one
 * a second. At most 1,000 keys are remembered; beyond that new keys share one bucket.
 */
class RateLimit {
  public:
    bool allow(const std::string& key, TimePoint now);

  private:
    struct Bucket {
        double tokens = 5;
        TimePoint at{};
    };

    std::map<std::string, Bucket> buckets_;
};

/** A remote name, made safe for one field of a log line. */
std::string quoted(const std::string& text);

} // namespace weave::daemon::log
