// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "target.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <unistd.h>

namespace weave::fuzz {
namespace {

std::string make_folder() {
    const char* parent = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    std::string path = std::string(parent) + "/weave-fuzz-XXXXXX";
    FUZZ_CHECK(::mkdtemp(path.data()) != nullptr);
    return path;
}

} // namespace

const char* scratch_folder() {
    static const std::string path = make_folder();
    static const bool registered = std::atexit([] {
                                       std::error_code ignored;
                                       std::filesystem::remove_all(path, ignored);
                                   }) == 0;
    static_cast<void>(registered);
    return path.c_str();
}

} // namespace weave::fuzz
