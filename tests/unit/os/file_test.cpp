// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/event_fd.hpp"
#include "os/file.hpp"
#include "os/lock_file.hpp"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

using namespace weave;
using namespace weave::os;

namespace {

/** A directory of its own, gone at the end of the test. */
struct Scratch {
    std::string path;

    Scratch() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "weave-file-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }

    ~Scratch() { std::filesystem::remove_all(path); }

    [[nodiscard]] std::string operator/(const std::string& name) const { return path + '/' + name; }
};

Bytes bytes_of(std::string_view text) {
    return {as_bytes(text).begin(), as_bytes(text).end()};
}

void flip_byte(const std::string& path, int at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const int old = file.get();
    file.seekp(at);
    file.put(static_cast<char>(old ^ 1));
}

unsigned mode_of(const std::string& path) {
    struct stat info {};

    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 0777;
}

} // namespace

TEST_CASE("a checked file gives back what was written, and replaces what was there") {
    const Scratch scratch;
    for (const std::string& text : {std::string{}, std::string{"{}"}, std::string(100'000, 'x')}) {
        write_checked_file(scratch / "state", as_bytes(text), 0600);
        const CheckedFile file = read_checked_file(scratch / "state");
        CHECK(file.state == CheckedFile::State::ok);
        CHECK(file.contents == bytes_of(text));
    }
    CHECK(mode_of(scratch / "state") == 0600);
    CHECK_FALSE(std::filesystem::exists(scratch / "state.tmp"));
    CHECK(read_checked_file(scratch / "none").state == CheckedFile::State::missing);
}

TEST_CASE("the checksum line is CRC-32C of the contents") {
    const Scratch scratch;
    write_checked_file(scratch / "state", as_bytes("123456789"));
    std::ifstream file(scratch / "state");
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    CHECK(all == "123456789\n#crc32c=e3069283\n");
}

TEST_CASE("any flipped bit and any cut is seen as corruption") {
    const Scratch scratch;
    const std::string path = scratch / "state";
    write_checked_file(path, as_bytes("counter 17"));
    const auto size = static_cast<int>(std::filesystem::file_size(path));
    for (int at = 0; at < size; ++at) {
        flip_byte(path, at);
        CHECK(read_checked_file(path).state == CheckedFile::State::corrupt);
        flip_byte(path, at);
    }
    CHECK(read_checked_file(path).state == CheckedFile::State::ok);
    for (int left = size - 1; left >= 0; --left) {
        std::filesystem::resize_file(path, static_cast<std::uintmax_t>(left));
        const CheckedFile file = read_checked_file(path);
        CHECK(file.state == CheckedFile::State::corrupt);
        CHECK(file.contents.empty());
    }
    CHECK(set_corrupt_aside(path) == path + ".corrupt");
    CHECK(read_checked_file(path).state == CheckedFile::State::missing);
}

TEST_CASE("what is not a plain file is corrupt, and nobody waits for it") {
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "folder");
    REQUIRE(::mkfifo((scratch / "pipe").c_str(), 0600) == 0);
    for (const char* name : {"folder", "pipe"}) {
        CHECK(read_checked_file(scratch / name).state == CheckedFile::State::corrupt);
        CHECK(set_corrupt_aside(scratch / name) == (scratch / name) + ".corrupt");
        CHECK(read_checked_file(scratch / name).state == CheckedFile::State::missing);
    }
}

TEST_CASE("a write that was cut off does not stop the next, and a failed one leaves the old file") {
    const Scratch scratch;
    std::ofstream(scratch / "state.tmp") << "half";
    write_checked_file(scratch / "state", as_bytes("new"));
    CHECK(read_checked_file(scratch / "state").contents == bytes_of("new"));
    CHECK_THROWS_AS(write_checked_file(scratch / "no/such", as_bytes("x")), std::system_error);
}

TEST_CASE("a secret is written private and read only when private") {
    const Scratch scratch;
    const std::string path = scratch / "key";
    CHECK_FALSE(read_secret_file(path));
    write_secret_file(path, as_bytes("0123456789abcdef"));
    CHECK(mode_of(path) == 0600);
    CHECK(read_secret_file(path).value() == bytes_of("0123456789abcdef"));
    for (const unsigned mode : {0640u, 0604u, 0660u, 0610u}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        CHECK_THROWS_WITH_AS(
            read_secret_file(path), doctest::Contains("chmod 600"), std::system_error);
    }
    REQUIRE(::chmod(path.c_str(), 0400) == 0);
    CHECK(read_secret_file(path));
    REQUIRE(::symlink(path.c_str(), (scratch / "link").c_str()) == 0);
    CHECK_THROWS_WITH_AS(
        read_secret_file(scratch / "link"), doctest::Contains("symbolic link"), std::system_error);
    CHECK_THROWS_AS(read_secret_file(scratch.path), std::system_error);
    write_secret_file(scratch / "big", Bytes(kMaxSecretFile + 1));
    CHECK_THROWS_AS(read_secret_file(scratch / "big"), std::system_error);
}

TEST_CASE("a lock file keeps a second holder out and names the first") {
    const Scratch scratch;
    const std::string path = scratch / "lock";
    {
        const LockFile lock{path};
        const std::string sentence = "process " + std::to_string(::getpid());
        CHECK_THROWS_WITH_AS(
            LockFile{path}, doctest::Contains(sentence.c_str()), std::system_error);
    }
    CHECK_NOTHROW(LockFile{path});
}

TEST_CASE("a directory is made once and a file in its place is refused") {
    const Scratch scratch;
    ensure_directory(scratch / "d", 0700);
    CHECK_NOTHROW(ensure_directory(scratch / "d", 0700));
    CHECK(mode_of(scratch / "d") == 0700);
    std::ofstream(scratch / "f") << "x";
    CHECK_THROWS_AS(ensure_directory(scratch / "f", 0700), std::system_error);
}

TEST_CASE("an event is taken once, however often it was signalled") {
    EventFd event;
    CHECK_FALSE(event.drain());
    event.signal();
    event.signal();
    CHECK(event.drain());
    CHECK_FALSE(event.drain());
}
