// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "api/http.hpp"

#include <doctest/doctest.h>

#include <array>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace weave;
using namespace weave::api;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;

namespace {

HttpReply pages(std::string_view target, bool wants_json) {
    if (target == "/status") {
        return {200, wants_json ? "application/json" : "text/plain", wants_json ? "{}" : "fine\n"};
    }
    if (target == "/broken") {
        throw std::runtime_error("secret detail");
    }
    return {404, "text/plain", "there are /status and /metrics\n"};
}

struct Site {
    explicit Site(HttpSettings settings = {}, const char* listen = "127.0.0.1")
        : server(io, Endpoint{*IpAddress::parse(listen), 0}, pages, std::move(settings)) {}

    /** Sends and returns all that comes until the server closes: ask for that in the request. */
    std::string talk(const std::string& request) {
        tcp::socket socket(io);
        socket.connect({boost::asio::ip::address_v4::loopback(), server.local().port});
        boost::asio::write(socket, boost::asio::buffer(request));
        std::string out;
        bool closed = false;
        boost::asio::async_read(
            socket,
            boost::asio::dynamic_buffer(out),
            [&closed](boost::system::error_code, std::size_t) { closed = true; });
        run_until([&] { return closed; });
        return out;
    }

    /** Runs the server until it is so; a second of a busy machine is no failure, ten are. */
    template <class Condition> void run_until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            io.run_one_for(10ms);
        }
        CHECK(condition());
    }

    boost::asio::io_context io;
    HttpServer server;
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("GET and HEAD") {
    Site site;
    const std::string get =
        site.talk("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has(get, "HTTP/1.1 200 OK"));
    CHECK(has(get, "\r\n\r\nfine\n"));
    const std::string head =
        site.talk("HEAD /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has(head, "Content-Length: 5"));
    CHECK_FALSE(has(head, "fine"));
}

TEST_CASE("JSON for who asks for it") {
    Site site;
    CHECK(has(site.talk("GET /status?format=json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              "\r\n\r\n{}"));
    CHECK(has(site.talk("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: "
                        "application/json\r\n\r\n"),
              "{}"));
    CHECK(
        has(site.talk("GET /status?formats=json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            "fine"));
}

TEST_CASE("several requests on one connection") {
    Site site;
    const std::string first = "GET /status HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string last = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const std::string both = site.talk(first + last);
    CHECK(both.find("fine") != both.rfind("fine"));
}

TEST_CASE("what is refused") {
    Site site;
    CHECK(has(site.talk("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              "404 Not Found"));
    const std::string post =
        site.talk("POST /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has(post, "405 Method Not Allowed"));
    CHECK(has(post, "Allow: GET, HEAD"));
    CHECK(has(
        site.talk(
            "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"),
        " 400 "));
    CHECK(has(site.talk("what is this\r\n\r\n"), " 400 "));
    CHECK(has(site.talk("GET status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 400 "));
    CHECK(has(site.talk("GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"), " 431 "));
    const std::string broken =
        site.talk("GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has(broken, " 500 "));
    CHECK_FALSE(has(broken, "secret"));
}

TEST_CASE("idle connections end and their number is bounded") {
    HttpSettings settings;
    settings.max_connections = 2;
    settings.timeout = 300ms;
    Site site(settings);
    std::vector<tcp::socket> sockets;
    for (int i = 0; i < 4; ++i) {
        sockets.emplace_back(site.io);
        sockets.back().connect({boost::asio::ip::address_v4::loopback(), site.server.local().port});
    }
    std::array<bool, 2> refused{};
    for (std::size_t i = 0; i < 2; ++i) {
        sockets[2 + i].async_wait(tcp::socket::wait_read,
                                  [&refused, i](boost::system::error_code) { refused[i] = true; });
    }
    site.run_until([&] { return refused[0] && refused[1]; });
    CHECK(site.server.connections() <= 2);
    site.run_until([&] { return site.server.connections() == 0; });
}

TEST_CASE("who is asked about is told as IPv4 when it comes by IPv4, even to ::") {
    for (const char* listen : {"127.0.0.1", "::"}) {
        std::string seen;
        HttpSettings settings;
        settings.admits = [&seen](const IpAddress& from) {
            seen = from.text();
            return false;
        };
        Site site(settings, listen);
        CHECK(site.talk("").empty());
        CHECK(seen == "127.0.0.1");
    }
}

TEST_CASE("the listening socket is prepared before it is bound") {
    HttpSettings settings;
    bool bound = true;
    settings.prepare = [&bound](int fd) {
        sockaddr_in name{};
        socklen_t size = sizeof name;
        bound =
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 || name.sin_port != 0;
    };
    const Site site(settings);
    CHECK_FALSE(bound);
    CHECK(site.server.local().port != 0);
}
