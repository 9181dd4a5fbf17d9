// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "net/name_lookup.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>

namespace weave::net {
namespace {

std::optional<IpAddress> address_of(const sockaddr& from) {
    if (from.sa_family == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, &from, sizeof four);
        return IpAddress::from_bytes(
            {reinterpret_cast<const std::uint8_t*>(&four.sin_addr), sizeof four.sin_addr});
    }
    if (from.sa_family == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, &from, sizeof six);
        return IpAddress::from_bytes(
            {reinterpret_cast<const std::uint8_t*>(&six.sin6_addr), sizeof six.sin6_addr});
    }
    return std::nullopt;
}

} // namespace

/** What the threads and the object share; outlives both. */
struct NameLookup::Shared {
    struct Question {
        std::string host;
        std::function<void(const Answer&)> done;
    };

    std::mutex mutex;
    boost::asio::io_context* io = nullptr; ///< null: nobody wants answers any more
    Lookup lookup;
    std::deque<Question> waiting;
    std::size_t threads = 0;

    /** Answers what waits; with the lock held. */
    static void work(const std::shared_ptr<Shared>& self, std::unique_lock<std::mutex> lock) {
        while (self->io != nullptr && !self->waiting.empty()) {
            Question question = std::move(self->waiting.front());
            self->waiting.pop_front();
            lock.unlock();
            Answer answer = self->lookup(question.host);
            lock.lock();
            if (self->io == nullptr) {
                break;
            }
            boost::asio::post(*self->io,
                              [self, answer = std::move(answer), done = std::move(question.done)] {
                                  if (self->io != nullptr) { // written by this thread alone
                                      done(answer);
                                  }
                              });
        }
        --self->threads;
    }
};

NameLookup::NameLookup(boost::asio::io_context& io, Lookup lookup)
    : shared_(std::make_shared<Shared>()) {
    shared_->io = &io;
    shared_->lookup = std::move(lookup);
}

NameLookup::~NameLookup() {
    const std::scoped_lock lock(shared_->mutex);
    shared_->io = nullptr;
    shared_->waiting.clear();
}

void NameLookup::ask(const std::string& host, std::function<void(const Answer&)> done) {
    const std::scoped_lock lock(shared_->mutex);
    shared_->waiting.push_back({host, std::move(done)});
    if (shared_->threads == kMaxThreads) {
        return; // one of them takes it when it is free
    }
    try {
        std::thread([shared = shared_] {
            Shared::work(shared, std::unique_lock(shared->mutex));
        }).detach();
        ++shared_->threads;
    } catch (const std::system_error& failed) {
        auto question = std::move(shared_->waiting.back());
        shared_->waiting.pop_back();
        boost::asio::post(
            *shared_->io,
            [shared = shared_, question = std::move(question), why = std::string{failed.what()}] {
                if (shared->io != nullptr) {
                    question.done({{}, why});
                }
            });
    }
}

NameLookup::Answer NameLookup::system_lookup(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    Answer answer;
    if (error != 0) {
        answer.error = ::gai_strerror(error);
        return answer;
    }
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        const auto address = address_of(*entry->ai_addr);
        auto& all = answer.addresses;
        if (address && std::find(all.begin(), all.end(), *address) == all.end()) {
            all.push_back(*address);
        }
    }
    ::freeaddrinfo(found);
    answer.error = answer.addresses.empty() ? "the name has no address" : "";
    return answer;
}

} // namespace weave::net
