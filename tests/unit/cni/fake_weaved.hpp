// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "api/server.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/stat.h>

namespace weave::test {

using nlohmann::json;

/** A folder that goes with the object. */
struct Folder {
    Folder()
        : path("/tmp/weave-cni-XXXXXX") {
        if (::mkdtemp(path.data()) == nullptr) {
            throw std::runtime_error("cannot make a folder");
        }
    }

    ~Folder() { std::filesystem::remove_all(path); }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path;
};

/**
 * Behind a control socket: holders with addresses 10.32.0.N/12, attachments by id and interface
 * name, as docs of the control API say. Every request is kept. Its answers can be replaced.
 */
class FakeWeaved {
  public:
    using Answer = std::function<api::Reply(api::Request&)>;

    explicit FakeWeaved(const std::string& socket)
        : server_(std::make_unique<api::Server>(
              io_, socket, [this](api::Request& request) { return handle(request); })) {
        thread_ = std::thread([this] { io_.run(); });
    }

    ~FakeWeaved() {
        boost::asio::post(io_, [this] { server_->stop(); });
        guard_.reset();
        thread_.join();
    }

    FakeWeaved(const FakeWeaved&) = delete;
    FakeWeaved& operator=(const FakeWeaved&) = delete;

    /** From now on. */
    void answer(const std::string& method, Answer answer) {
        const std::lock_guard lock(mutex_);
        answers_[method] = std::move(answer);
    }

    void refuse(const std::string& method, const std::string& code, const std::string& message) {
        answer(method, [=](api::Request&) { return api::Reply::error(code, message); });
    }

    /** What makes and removes the interfaces; they get the row. Set before the first request. */
    std::function<void(int netns, const json& row)> made;
    std::function<void(const json& row)> removed;

    /** The methods asked for so far, in order. */
    std::vector<std::string> methods() {
        const std::lock_guard lock(mutex_);
        return methods_;
    }

    /** The parameters of the last request of that method. */
    json params(const std::string& method) {
        const std::lock_guard lock(mutex_);
        return params_.at(method);
    }

    /** Who has addresses. */
    std::map<std::string, json> holders() {
        const std::lock_guard lock(mutex_);
        return holders_;
    }

    /** What is attached, by "id/ifname". */
    std::map<std::string, json> attached() {
        const std::lock_guard lock(mutex_);
        return attached_;
    }

  private:
    api::Reply handle(api::Request& request) {
        const std::lock_guard lock(mutex_);
        methods_.push_back(request.method);
        params_[request.method] = request.params;
        if (const auto found = answers_.find(request.method); found != answers_.end()) {
            return found->second(request);
        }
        if (request.method == "attach") {
            return attach(request);
        }
        if (request.method == "detach") {
            return detach(request.params);
        }
        if (request.method == "attachments") {
            std::vector<json> rows;
            for (const auto& [name, row] : attached_) {
                rows.push_back(row);
            }
            return api::Reply::rows(rows);
        }
        if (request.method == "ready") {
            return api::Reply::ok({{"ready", true}, {"reason", ""}});
        }
        return ipam(request);
    }

    api::Reply ipam(const api::Request& request) {
        const std::string holder = request.params.value("holder", std::string{});
        if (request.method == "ipam_allocate") {
            return api::Reply::ok(
                {{"addresses", allocate(holder, request.params)}, {"gateways", {"10.32.0.1"}}});
        }
        if (request.method == "ipam_release") {
            const json had = holders_.contains(holder) ? holders_[holder] : json::array();
            holders_.erase(holder);
            return api::Reply::ok({{"released", had}});
        }
        if (request.method == "ipam_check") {
            return holders_.contains(holder)
                       ? api::Reply::ok({{"addresses", holders_[holder]}})
                       : api::Reply::error("not_found", "that holder has no address");
        }
        if (request.method == "ipam_gc") {
            return collect(request.params);
        }
        return api::Reply::error("unknown_method", "no method " + request.method);
    }

    json allocate(const std::string& holder, const json& params) {
        if (!holders_.contains(holder) || holders_[holder].empty()) {
            holders_[holder] = json::array();
            const bool none = params.value("addresses", json::array()) == json{"none"};
            for (const json& spec : params.value("addresses", json::array())) {
                const auto text = spec.get<std::string>();
                if (text.starts_with("ip:")) {
                    const bool whole = text.find('/') != std::string::npos;
                    holders_[holder].push_back(text.substr(3) + (whole ? "" : "/12"));
                } else if (!none && !text.starts_with("net:")) {
                    holders_[holder].push_back(text);
                }
            }
            if (!none && holders_[holder].empty()) {
                holders_[holder].push_back("10.32.0." + std::to_string(++last_) + "/12");
            }
        }
        return holders_[holder];
    }

    api::Reply attach(api::Request& request) {
        const json& params = request.params;
        const std::string name =
            params.at("id").get<std::string>() + "/" + params.at("ifname").get<std::string>();

        struct stat info {};

        ::fstat(request.fd.get(), &info);
        allocate(name, params);
        for (json& address : holders_[name]) {
            if (params.value("mode", "bridge") == "routed") {
                const auto text = address.get<std::string>(); // of IPv4 in these tests
                address = text.substr(0, text.find('/')) + "/32";
            }
        }
        const json addresses = holders_[name];
        json gateways = json::array();
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            gateways.push_back("10.32.0.1");
        }
        if (!attached_.contains(name)) {
            // Never again the same: a link of an earlier test may be about to go.
            static std::atomic<unsigned> number{1'000'000'000};
            attached_[name]["host_ifname"] = "wv" + std::to_string(++number);
        }
        const json host_ifname = attached_[name]["host_ifname"];
        attached_[name] = {{"id", params.at("id")},
                           {"ifname", params.at("ifname")},
                           {"host_ifname", host_ifname},
                           {"host_mac", "02:00:00:00:00:01"},
                           {"mac", params.value("mac", "02:00:00:00:00:02")},
                           {"mtu", params.value("mtu", 1376)},
                           {"mode", params.value("mode", "bridge")},
                           {"addresses", addresses},
                           {"gateways", gateways},
                           {"routes", params.value("routes", true)},
                           {"netns_inode", info.st_ino}};
        if (made) {
            made(request.fd.get(), attached_[name]);
        }
        return api::Reply::ok(attached_[name]);
    }

    api::Reply detach(const json& params) {
        const std::string name =
            params.at("id").get<std::string>() + "/" + params.at("ifname").get<std::string>();
        if (!attached_.contains(name)) {
            return api::Reply::error("not_found", "nothing is there");
        }
        if (removed) {
            removed(attached_[name]);
        }
        holders_.erase(name);
        attached_.erase(name);
        return api::Reply::ok();
    }

    api::Reply collect(const json& params) {
        json released = json::array();
        const auto valid = params.at("valid").get<std::vector<std::string>>();
        for (auto at = holders_.begin(); at != holders_.end();) {
            const bool goes = at->first.starts_with(params.at("prefix").get<std::string>()) &&
                              std::find(valid.begin(), valid.end(), at->first) == valid.end();
            if (goes) {
                released.push_back({{"holder", at->first}, {"addresses", at->second}});
                attached_.erase(at->first);
            }
            at = goes ? holders_.erase(at) : std::next(at);
        }
        return api::Reply::ok({{"released", released}});
    }

    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
        io_.get_executor()};
    std::mutex mutex_;
    std::map<std::string, Answer> answers_;
    std::vector<std::string> methods_;
    std::map<std::string, json> params_;
    std::map<std::string, json> holders_;
    std::map<std::string, json> attached_;
    unsigned last_ = 1;
    std::unique_ptr<api::Server> server_;
    std::thread thread_;
};

} // namespace weave::test
