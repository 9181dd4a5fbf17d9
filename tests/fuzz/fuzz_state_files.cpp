// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The state folder as a start finds it. Input, for each file: choices 1 (0 absent, 1 as it is,
// 2 with a right checksum), length 2, contents.
#include "daemon/node_state.hpp"
#include "daemon/options.hpp"
#include "os/file.hpp"
#include "target.hpp"

#include <array>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>

#include <sys/stat.h>
#include <unistd.h>

namespace weave::fuzz {
namespace {

using daemon::NodeState;

constexpr std::array kFiles{"identity.key", "boot-epoch", "targets", "exposed"};

std::string folder() {
    return std::string(scratch_folder()) + "/state";
}

std::string path_of(const char* name) {
    return folder() + '/' + name;
}

void write_plain(const std::string& path, ByteView contents) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(contents.data()),
               static_cast<std::streamsize>(contents.size()));
    FUZZ_CHECK(file.good());
    FUZZ_CHECK(::chmod(path.c_str(), 0600) == 0);
}

void write_files(Input& input) {
    os::ensure_directory(folder(), 0700);
    for (const char* name : kFiles) {
        const std::string path = path_of(name);
        ::unlink(path.c_str());
        ::unlink((path + ".corrupt").c_str());
        const unsigned how = input.u8() % 3;
        const ByteView contents = input.part();
        if (how == 1) {
            write_plain(path, contents);
        } else if (how == 2) {
            os::write_checked_file(path, contents, 0600);
        }
    }
}

/** The epoch of the last start, as far as the file says. */
std::uint64_t stored_epoch() {
    const auto file = os::read_checked_file(path_of("boot-epoch"));
    std::uint64_t epoch = 0;
    if (file.state == os::CheckedFile::State::ok) {
        const auto* text = reinterpret_cast<const char*>(file.contents.data());
        std::from_chars(text, text + file.contents.size(), epoch);
    }
    return epoch;
}

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

/** A damaged file is kept aside, and every one is spoken of; so is an identity that is gone. */
void check_notices(NodeState& state, bool identity_gone) {
    std::size_t expected = identity_gone ? 1u : 0u;
    for (const char* name : kFiles) {
        expected += exists(path_of(name) + ".corrupt") ? 1u : 0u;
    }
    FUZZ_CHECK(state.take_notices().size() == expected);
}

struct Seen {
    NodeId id;
    std::uint64_t epoch = 0;
    std::vector<std::string> targets;
    std::vector<Prefix> exposed;
};

/** nullopt when the start is refused, with a sentence. */
std::optional<Seen> start(bool first) {
    const bool gone = exists(path_of("boot-epoch")) && !exists(path_of("identity.key"));
    try {
        NodeState state(folder());
        if (first) {
            check_notices(state, gone);
        } else {
            FUZZ_CHECK(state.take_notices().empty());
        }
        Seen seen{state.identity().id(), state.boot_epoch(), state.targets(), state.exposed()};
        state.save_targets(seen.targets);
        state.save_exposed(seen.exposed);
        return seen;
    } catch (const daemon::ConfigError& error) {
        FUZZ_CHECK(std::string_view(error.what()).find(" damaged") != std::string_view::npos);
    } catch (const std::system_error&) {
        FUZZ_CHECK(first);
    }
    return std::nullopt;
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    restart_randomness();
    Input input({data, size});
    write_files(input);
    const std::uint64_t stored = stored_epoch();
    const auto first = start(true);
    if (!first) {
        return 0;
    }
    constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
    FUZZ_CHECK(first->epoch > stored || stored == kLast);
    const auto second = start(false);
    FUZZ_CHECK(second && second->id == first->id);
    FUZZ_CHECK(second->epoch > first->epoch || first->epoch == kLast);
    FUZZ_CHECK(second->targets == first->targets && second->exposed == first->exposed);
    return 0;
}
