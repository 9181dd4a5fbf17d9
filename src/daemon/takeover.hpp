// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.hpp"
#include "daemon/cluster_file.hpp"
#include "daemon/handover.hpp"
#include "daemon/lanes.hpp"
#include "daemon/log.hpp"
#include "daemon/options.hpp"
#include "daemon/refusals.hpp"
#include "os/fd_channel.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <string>
#include <vector>

/**
 * How a weaved hands its work to the next one, over a unix socket in the run folder. The successor
 * sends a request (format, options) and gets state and descriptors; from then on the predecessor's
 * control thread waits, while its lanes work on. When the successor has made everything anew it
 * says "ready": the predecessor stops its lanes, its keys seal nothing more, and it tells how far
 * they came. "Done" and "farewell" end it: the predecessor is gone, the successor starts its lanes.
 *
 * A successor that fails before "ready" changes nothing; after it, the predecessor goes on and
 * makes new keys.
 */
namespace weave::daemon {

/** Of a router with these. */
HandoverFit handover_fit(const Options& options, const Cluster& cluster, unsigned lanes);

/** Where a successor knocks. */
std::string takeover_path(const std::string& run_dir);

/** What the predecessor's side asks of the router. Called on the control thread. */
struct TakeoverCalls {
    /** A sentence when that successor cannot have it; empty: it can. */
    std::function<std::string(const HandoverFit&)> refuse;
    std::function<Handover()> describe;
    /** The state folder's lock, then the lanes' descriptors, as the handover counts them. */
    std::function<std::vector<int>()> descriptors;
    /** Stops the lanes; from now on keys of this process seal nothing. */
    std::function<HandoverProgress()> hand_over;
    /** After hand_over(), for nobody: starts again, with new keys. */
    std::function<void()> go_on;
    /** The successor, whose process that is, has everything: ends this one and does not return. */
    std::function<void(pid_t successor)> leave;
};

/** The predecessor's side. While a successor is served the control thread does nothing else, for at
 * most half a minute. Control thread only. */
class TakeoverDoor {
  public:
    /** Listens, in the place of whoever listened there. Throws std::system_error. */
    TakeoverDoor(boost::asio::io_context& io, const std::string& path, TakeoverCalls calls);
    ~TakeoverDoor();
    TakeoverDoor(const TakeoverDoor&) = delete;
    TakeoverDoor& operator=(const TakeoverDoor&) = delete;

    /** What was refused or failed, by name. */
    [[nodiscard]] const EventCounts& counted() const { return counted_; }

  private:
    void accept();
    void await_request(boost::asio::local::stream_protocol::socket socket);
    void serve(os::FdChannel channel);
    void converse(os::FdChannel& channel);
    void refuse(os::FdChannel& channel, const char* name, const std::string& sentence);
    void part(os::FdChannel& channel);

    boost::asio::local::stream_protocol::acceptor acceptor_;
    boost::asio::steady_timer patience_;
    std::string path_;
    TakeoverCalls calls_;
    EventCounts counted_;
    log::RateLimit rate_;
};

/** The successor's side. Blocking; throws ConfigError with a sentence when nothing can be taken
 * over. */
class Predecessor {
  public:
    Predecessor(const std::string& run_dir, const HandoverFit& fit);

    [[nodiscard]] Handover& handover() { return handover_; }

    [[nodiscard]] os::UniqueFd take_lock() { return std::move(lock_); }

    [[nodiscard]] std::optional<LaneDescriptors> take_descriptors() {
        return std::move(descriptors_);
    }

    /** Tells it to stop, and how far it came. */
    HandoverProgress stop();
    /** Tells it to go. When this returns its keys are this process's alone. */
    void dismiss();
    /** Until its process has ended, and its ports are free. */
    void await_end();

  private:
    void take(os::FdMessage message);
    os::FdMessage receive(Duration patience);

    os::FdChannel channel_;
    os::UniqueFd process_;
    Handover handover_;
    os::UniqueFd lock_;
    LaneDescriptors descriptors_;
};

} // namespace weave::daemon
