// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/fd_channel.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <functional>
#include <optional>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

using namespace weave;
using namespace weave::os;
using namespace std::chrono_literals;

namespace {

struct Ends {
    Ends() {
        std::array<int, 2> both{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both.data()) == 0);
        left.emplace(UniqueFd{both[0]});
        right.emplace(UniqueFd{both[1]});
    }

    std::optional<FdChannel> left;
    std::optional<FdChannel> right;
};

ino_t inode_of(int fd) {
    struct stat info {};

    REQUIRE(::fstat(fd, &info) == 0);
    return info.st_ino;
}

int error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return 0;
}

} // namespace

TEST_CASE("messages come whole and in order, with their descriptors") {
    Ends ends;
    const UniqueFd file{::open("/", O_RDONLY | O_CLOEXEC)};
    const Bytes large(3'000'000, 7);
    std::thread sender([&] {
        const std::array fds{file.get(), file.get()};
        ends.left->send(Bytes{1, 2, 3}, fds, Clock::now() + 5s);
        ends.left->send({}, {}, Clock::now() + 5s);
        ends.left->send(large, std::array{file.get()}, Clock::now() + 5s);
    });
    auto first = ends.right->receive(Clock::now() + 5s);
    auto second = ends.right->receive(Clock::now() + 5s);
    auto third = ends.right->receive(Clock::now() + 5s);
    sender.join();
    REQUIRE((first && second && third));
    CHECK(first->bytes == Bytes{1, 2, 3});
    REQUIRE(first->fds.size() == 2);
    CHECK(inode_of(first->fds[1].get()) == inode_of(file.get()));
    CHECK((::fcntl(first->fds[1].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(second->bytes.empty());
    CHECK(third->bytes == large);
    CHECK(third->fds.size() == 1);
    CHECK(ends.right->peer_user() == ::geteuid());
}

TEST_CASE("who closes, says nothing, or says too much is told apart") {
    Ends ends;
    CHECK(error_of([&] { ends.right->receive(Clock::now() + 10ms); }) == ETIMEDOUT);
    ends.left->send(Bytes(100, 1), {}, Clock::now() + 1s);
    CHECK(error_of([&] { ends.right->receive(Clock::now() + 1s, 99); }) == EMSGSIZE);
    Ends other;
    const std::array<std::uint8_t, 12> cut_short{100, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
    REQUIRE(::send(other.left->fd(), cut_short.data(), cut_short.size(), 0) == 12);
    other.left.reset();
    CHECK(error_of([&] { other.right->receive(Clock::now() + 1s); }) == EPROTO);
    Ends third;
    third.left.reset();
    CHECK_FALSE(third.right->receive(Clock::now() + 1s));
}

TEST_CASE("descriptors that a message speaks of and does not bring are missed") {
    Ends ends;
    const std::array<std::uint8_t, 8> one_missing{0, 0, 0, 0, 1, 0, 0, 0};
    REQUIRE(::send(ends.left->fd(), one_missing.data(), one_missing.size(), 0) == 8);
    CHECK(error_of([&] { ends.right->receive(Clock::now() + 1s); }) == EPROTO);
}

TEST_CASE("nobody at home") {
    CHECK(error_of([] { FdChannel::connect("/nonexistent/socket"); }) == ENOENT);
    CHECK(error_of([] { FdChannel::connect(std::string(200, 'x')); }) == ENAMETOOLONG);
}
