// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/server.hpp"
#include "api/status.hpp"
#include "api/unix_message.hpp"

#include <doctest/doctest.h>
#include <weave/client.hpp>

#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace weave;
using namespace weave::api;
using namespace std::chrono_literals;

namespace {

/** Who was not answered yet; "targets" answers them. The server's thread only. */
std::vector<Reply::Send>& waiting() {
    static std::vector<Reply::Send> all;
    return all;
}

Reply answer(Request& request) {
    if (request.method == "status") {
        NodeStatus status;
        status.name = "node1";
        return Reply::ok(status);
    }
    if (request.method == "peers") {
        std::vector<PeerRow> rows(3000);
        rows[2999].name = "last";
        return Reply::rows_of(rows);
    }
    if (request.method == "attach") {
        struct stat info {};

        AttachmentRow row;
        row.ifname = request.params.at("ifname").get<std::string>();
        row.netns_inode = ::fstat(request.fd.get(), &info) == 0 ? info.st_ino : 0;
        return Reply::ok(row);
    }
    if (request.method == "report") {
        return Reply::text(json_text(NodeReport{}));
    }
    if (request.method == "version") {
        return Reply::ok("not an object");
    }
    if (request.method == "expose") {
        throw std::invalid_argument("that address is taken");
    }
    if (request.method == "hide") {
        throw std::runtime_error("broken");
    }
    if (request.method == "drops") {
        return Reply::deferred([](Reply::Send send) { waiting().push_back(std::move(send)); });
    }
    if (request.method == "targets") {
        for (const auto& send : waiting()) {
            send(Reply::rows_of(std::vector<DropRow>(2)));
        }
        const auto count = std::exchange(waiting(), {}).size();
        return Reply::rows_of(std::vector<TargetRow>(count));
    }
    if (request.method == "connect") {
        throw std::system_error(request.params.at("peers").at(0) == "there" ? EEXIST : EINVAL,
                                std::generic_category(),
                                "the kernel said so");
    }
    return Reply::error("unknown_method", "no method " + request.method);
}

/** A server on a socket in a folder of its own, its io_context on a thread of its own. */
struct Daemon {
    explicit Daemon(ServerSettings settings = {})
        : server(io, path(), answer, settings) {
        thread = std::thread([this] { io.run(); });
    }

    ~Daemon() {
        boost::asio::post(io, [this] { server.stop(); });
        guard.reset();
        thread.join();
        std::filesystem::remove_all(folder);
    }

    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    [[nodiscard]] std::string path() const { return folder + "/weave.sock"; }

    [[nodiscard]] std::size_t connections() {
        return boost::asio::post(io,
                                 boost::asio::use_future([this] { return server.connections(); }))
            .get();
    }

    static std::string make_folder() {
        std::string name = "/tmp/weave-api-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        return name;
    }

    std::string folder = make_folder();
    boost::asio::io_context io;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{
        io.get_executor()};
    Server server;
    std::thread thread;
};

/** A plain connection, to send what a Client never would. */
struct RawClient {
    explicit RawClient(const std::string& path)
        : socket(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        const boost::asio::local::stream_protocol::endpoint endpoint(path);
        REQUIRE(::connect(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) ==
                0);
    }

    void send(std::string_view bytes, int fd = -1) const {
        REQUIRE(send_some(socket.get(), bytes, fd) == static_cast<std::ptrdiff_t>(bytes.size()));
    }

    /** Everything until the server closes. */
    [[nodiscard]] std::string rest() const {
        std::string out(65536, '\0');
        std::size_t size = 0;
        Descriptor fd;
        for (;;) {
            const auto count = receive_some(socket.get(), out.data() + size, out.size() - size, fd);
            if (count <= 0) {
                return out.substr(0, size);
            }
            size += static_cast<std::size_t>(count);
        }
    }

    Descriptor socket;
};

} // namespace

TEST_CASE("a client asks, the server answers") {
    Daemon daemon;
    Client client = Client::connect(daemon.path());
    CHECK(client.last_result().empty());
    CHECK(client.status().name == "node1");
    CHECK(client.last_result().find("\"name\":\"node1\"") != std::string::npos);
    const auto peers = client.peers(); // more than one message could hold
    REQUIRE(peers.size() == 3000);
    CHECK(peers[2999].name == "last");
    CHECK(client.report().find("\"status\"") != std::string::npos);
}

TEST_CASE("a descriptor comes along") {
    Daemon daemon;
    Client client = Client::connect(daemon.path());
    const Descriptor self(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));

    struct stat info {};

    REQUIRE(::fstat(self.get(), &info) == 0);
    CHECK(client.attach(self.get(), "eth0", {}).netns_inode == info.st_ino);
    CHECK(client.attach(-1, "eth0", {}).netns_inode == 0); // the one before was not kept
}

TEST_CASE("errors of the daemon leave the connection usable, others do not") {
    Daemon daemon;
    Client client = Client::connect(daemon.path());
    std::error_code error;
    client.forget({"a"}, error);
    CHECK(error == Errc::unknown_method);
    CHECK(std::string(error_name(Errc::unknown_method)) == "unknown_method");
    CHECK(client.last_error() == "no method forget");
    client.expose({"a"}, error);
    CHECK(error == Errc::invalid);
    CHECK(client.last_error() == "that address is taken");
    client.hide({"a"}, error);
    CHECK(error == Errc::internal);
    client.connect_peers({"there"}, false, error);
    CHECK(error == Errc::conflict);
    client.connect_peers({"wrong"}, false, error);
    CHECK(error == Errc::invalid);
    CHECK(client.last_error().starts_with("the kernel said so"));
    CHECK_THROWS_WITH_AS(client.forget({"a"}), "no method forget", Error);
    CHECK(client.version(error).empty());
    CHECK(error == Errc::protocol);
    CHECK(client.status().name == "node1");
    client.connect_peers({std::string(2U << 20, 'x')}, false, error);
    CHECK(error == Errc::too_large);
    CHECK(client.status().name == "node1");
}

TEST_CASE("an answer that takes its time holds up nobody else, and may outlive its client") {
    Daemon daemon;
    Client other = Client::connect(daemon.path());
    std::thread slow([&] { CHECK(Client::connect(daemon.path()).drops().size() == 2); });
    while (other.targets().empty()) {
        std::this_thread::sleep_for(1ms);
    }
    slow.join();
    {
        const RawClient gone(daemon.path());
        gone.send(encode_request(1, "drops", nlohmann::json::object()));
        CHECK(other.status().name == "node1");
    }
    while (other.targets().empty()) {
        std::this_thread::sleep_for(1ms);
    }
    CHECK(other.status().name == "node1");
}

TEST_CASE("nobody there") {
    std::error_code error;
    Client client = Client::connect("/tmp/weave-no-such-folder/weave.sock", error);
    CHECK(error == Errc::not_running);
    CHECK(client.last_error() == "weaved is not running on this host (no socket at "
                                 "/tmp/weave-no-such-folder/weave.sock): start it with "
                                 "'weave-launch start'");
    (void)client.status(error);
    CHECK(error == Errc::disconnected);
}

TEST_CASE("what is no request is answered and does no harm") {
    Daemon daemon;
    const RawClient raw(daemon.path());
    raw.send(std::string("\x01\x00\x00\x00x", 5));
    raw.send(encode_message({{"v", 9}, {"id", 5}, {"method", "status"}}));
    raw.send(std::string("\xff\xff\xff\xff", 4)); // too large: the end
    const std::string all = raw.rest();
    CHECK(all.find("bad_request") != std::string::npos);
    CHECK(all.find("wrong_version") != std::string::npos);
    CHECK(all.find("too_large") != std::string::npos);
    CHECK(Client::connect(daemon.path()).status().name == "node1");
}

TEST_CASE("a slow client is closed and holds nobody else up") {
    ServerSettings settings;
    settings.request_timeout = 150ms;
    Daemon daemon(settings);
    const RawClient slow(daemon.path());
    slow.send("\x10");
    CHECK(Client::connect(daemon.path()).status().name == "node1");
    CHECK(slow.rest().empty()); // returns because the server closed
}

TEST_CASE("a client that does not read is closed") {
    ServerSettings settings;
    settings.write_timeout = 150ms;
    Daemon daemon(settings);
    const RawClient deaf(daemon.path());
    deaf.send(encode_request(1, "peers", nlohmann::json::object()));
    CHECK(Client::connect(daemon.path()).status().name == "node1");
    for (int i = 0; i < 100 && daemon.connections() != 0; ++i) {
        std::this_thread::sleep_for(50ms);
    }
    CHECK(daemon.connections() == 0);
}

TEST_CASE("connections are bounded") {
    ServerSettings settings;
    settings.max_connections = 1;
    Daemon daemon(settings);
    Client first = Client::connect(daemon.path());
    CHECK(first.status().name == "node1");
    Client second = Client::connect(daemon.path());
    std::error_code error;
    (void)second.status(error);
    CHECK(error == Errc::busy);
    CHECK(first.status().name == "node1");
}

TEST_CASE("the socket file: private or for the group, a stale one is replaced, a live one is not") {
    Daemon daemon;

    struct stat info {};

    REQUIRE(::stat(daemon.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0007) == 0);
    boost::asio::io_context io;
    CHECK_THROWS_AS(Server(io, daemon.path(), answer), std::system_error);
    const std::string stale = daemon.folder + "/stale.sock";
    { boost::asio::local::stream_protocol::acceptor gone(io, stale); }
    REQUIRE(std::filesystem::exists(stale));
    {
        const Server replaced(io, stale, answer);
        CHECK(std::filesystem::exists(stale));
    }
    CHECK_FALSE(std::filesystem::exists(stale));
    CHECK_THROWS_AS(Server(io, daemon.folder + std::string(200, 'x'), answer), std::system_error);
}
