// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The holder runs in a process of its own, as it does in life.
#include "daemon/descriptor_holder.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <string>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace weave;
using namespace weave::daemon;

namespace {

ino_t inode(int fd) {
    struct stat what {};

    REQUIRE(::fstat(fd, &what) == 0);
    return what.st_ino;
}

HandoverFit fit_of(const std::string& port) {
    HandoverFit out;
    out.port = port;
    out.lanes = "1";
    return out; // `tap` stays empty, which is what a queue that is no TAP's is called
}

/** A run folder with a holder at work. */
struct Scene {
    Scene() {
        std::array<char, 32> name{"/tmp/weave-holder-XXXXXX"};
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name.data();
        const os::UniqueFd listening = os::FdChannel::listen(descriptor_holder_path(folder));
        holder = ::fork();
        REQUIRE(holder >= 0);
        if (holder == 0) {
            ::_exit(run_descriptor_holder(listening.get()));
        }
    }

    ~Scene() {
        if (holder > 0) {
            ::kill(holder, SIGKILL);
            ::waitpid(holder, nullptr, 0);
        }
        ::unlink(descriptor_holder_path(folder).c_str());
        ::rmdir(folder.c_str());
    }

    /** Its exit status; it is waited for. */
    int ended() {
        int status = -1;
        REQUIRE(::waitpid(std::exchange(holder, -1), &status, 0) > 0);
        return status;
    }

    std::string folder;
    pid_t holder = -1;
};

LaneDescriptors some_descriptors() {
    LaneDescriptors out;
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    out.tap.features = {.tso = true, .uso = false};
    out.tap.queues.emplace_back(ends[0]);
    ::close(ends[1]);
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    out.udp4.push_back(os::UdpSocket::open(options));
    return out;
}

} // namespace

TEST_CASE("a holder that was given nothing leaves nothing, and ends with its router") {
    Scene scene;
    {
        DescriptorHolder before(scene.folder, fit_of("1"));
        CHECK_FALSE(before.take()); // a holder that holds nothing is let go of
    }
    CHECK(scene.ended() == 0);
}

TEST_CASE("descriptors survive their router, again and again") {
    Scene scene;
    ino_t queue = 0;
    ino_t socket = 0;
    Endpoint bound;
    {
        const LaneDescriptors open = some_descriptors();
        queue = inode(open.tap.queues.front().get());
        socket = inode(open.udp4.front().fd());
        bound = open.udp4.front().local();
        DescriptorHolder before(scene.folder, fit_of("1"));
        before.hold(open);
    } // both are closed without a word
    for (int i = 0; i < 3; ++i) {
        DescriptorHolder next(scene.folder, fit_of("1"));
        const auto found = next.take();
        REQUIRE(found);
        CHECK(inode(found->tap.queues.front().get()) == queue);
        CHECK(found->tap.features.tso);
        CHECK_FALSE(found->tap.features.uso);
        REQUIRE(found->udp4.size() == 1);
        CHECK(inode(found->udp4.front().fd()) == socket);
        CHECK(found->udp4.front().local() == bound);
        CHECK(found->udp6.empty());
    }
}

TEST_CASE("what waits in a held socket is there for the next router") {
    Scene scene;
    Endpoint bound;
    {
        const LaneDescriptors open = some_descriptors();
        bound = open.udp4.front().local();
        DescriptorHolder(scene.folder, fit_of("1")).hold(open);
    }
    os::UdpOptions options;
    options.bind = {*IpAddress::parse("127.0.0.1"), 0};
    const os::UdpSocket peer = os::UdpSocket::open(options);
    std::array<std::uint8_t, 3> bytes{1, 2, 3};
    const iovec data{bytes.data(), bytes.size()};
    REQUIRE(peer.send(bound, {}, {&data, 1}) == 0);
    DescriptorHolder next(scene.folder, fit_of("1"));
    const auto found = next.take();
    REQUIRE(found);
    os::ReceiveSlots slots(1);
    const os::Received got = found->udp4.front().receive(slots);
    REQUIRE(got.datagrams.size() == 1);
    CHECK(got.datagrams.front().bytes.size() == 3);
}

TEST_CASE("after an orderly end, and for other options, nothing is kept and the holder ends") {
    Scene scene;
    const LaneDescriptors open = some_descriptors();
    DescriptorHolder router(scene.folder, fit_of("1"));
    router.hold(open);
    SUBCASE("released") {
        router.release();
        CHECK(scene.ended() == 0);
        DescriptorHolder next(scene.folder, fit_of("1"));
        CHECK_FALSE(next.take());
    }
    SUBCASE("another port") {
        router = DescriptorHolder(scene.folder, fit_of("2"));
        CHECK_FALSE(router.take());
        CHECK(scene.ended() == 0);
    }
}

TEST_CASE("what says nothing, or garbage, is let go") {
    Scene scene;
    const LaneDescriptors open = some_descriptors();
    DescriptorHolder router(scene.folder, fit_of("1"));
    router.hold(open);
    for (const Bytes& bytes : {Bytes{}, Bytes{1}, Bytes{1, 9, 9, 9, 9}, Bytes{7, 1, 0, 0, 0}}) {
        os::FdChannel other = os::FdChannel::connect(descriptor_holder_path(scene.folder));
        other.send(bytes, {}, Clock::now() + std::chrono::seconds(2));
        CHECK_FALSE(other.receive(Clock::now() + std::chrono::seconds(5)));
    }
    router = DescriptorHolder(scene.folder, fit_of("1"));
    CHECK(router.take());
}
