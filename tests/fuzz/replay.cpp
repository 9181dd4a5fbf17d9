// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer's main(): runs the target once for every file named, or lying in a folder
// named, in the order of their names. Exits 1 when there is none.
#include "target.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> inputs(int count, char** names) {
    std::vector<fs::path> out;
    for (int i = 1; i < count; ++i) {
        if (!fs::is_directory(names[i])) {
            out.emplace_back(names[i]);
            continue;
        }
        for (const auto& entry : fs::directory_iterator(names[i])) {
            if (entry.is_regular_file()) {
                out.push_back(entry.path());
            }
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

weave::Bytes read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    FUZZ_CHECK(file.good());
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

int main(int count, char** names) {
    const auto files = inputs(count, names);
    for (const fs::path& path : files) {
        std::printf("%s\n", path.c_str());
        std::fflush(stdout); // the last line names the input that ended the process
        const weave::Bytes bytes = read(path);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%zu inputs\n", files.size());
    return files.empty() ? 1 : 0;
}
