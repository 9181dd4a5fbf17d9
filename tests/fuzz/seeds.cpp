// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Writes valid inputs of every target: fuzz_seeds FOLDER. What fuzzing starts from when a format
// changes.
#include "seeds.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace weave::fuzz {
namespace {

std::filesystem::path folder;

} // namespace

void seed(std::string_view target, ByteView bytes) {
    static std::map<std::string, int, std::less<>> counts;
    const int number = ++counts[std::string(target)];
    const auto path = folder / target / ("seed-" + std::to_string(number));
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    FUZZ_CHECK(file.good());
}

} // namespace weave::fuzz

int main(int count, char** names) {
    if (count != 2) {
        std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
        return 2;
    }
    weave::fuzz::folder = names[1];
    weave::fuzz::restart_randomness();
    weave::fuzz::seed_wire();
    weave::fuzz::seed_frames();
    weave::fuzz::seed_machines();
    weave::fuzz::seed_texts();
    return 0;
}
