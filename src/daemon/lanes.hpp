// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/lane_descriptors.hpp"
#include "dataplane/lane.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace weave::daemon {

/**
 * The worker threads, their sockets and TAP queues, and both rings of each. Everything but the
 * lanes' own work happens on the io_context's thread.
 */
class Lanes {
  public:
    using PuntHandler = std::function<void(const dataplane::Punt&)>;

    /** As many lanes as there are queues. `paired`: every second one is for sparse flows. */
    Lanes(boost::asio::io_context& io, LaneDescriptors descriptors, bool paired);
    ~Lanes();
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    void start(PuntHandler handler);

    /** Called once, on the io_context's thread, when the TAP was removed: no frame will come or go
     * any more. Set before start(). */
    void on_tap_gone(std::function<void()> handler) { on_tap_gone_ = std::move(handler); }

    void stop();

    /** Nothing is read or sent any more, until go_on(). */
    void halt();
    void go_on();

    /** With the lanes standing still, if they run at all; what arrives waits in the kernel. They go
     * on when `work` throws, too. */
    void while_halted(const std::function<void()>& work);

    [[nodiscard]] dataplane::Lane& lane(unsigned index) { return *lanes_[index]; }

    [[nodiscard]] const LaneDescriptors& descriptors() const { return descriptors_; }

    [[nodiscard]] unsigned count() const { return static_cast<unsigned>(lanes_.size()); }

    /** Of count(), those for sparse flows: the odd ones, or none. */
    [[nodiscard]] unsigned sparse_count() const { return paired_ ? count() / 2 : 0; }

    /** The others: as many as a person asks for. */
    [[nodiscard]] unsigned pair_count() const { return count() - sparse_count(); }

    /** Who serves a receive queue of an interface, in turn: none that is for sparse flows. */
    [[nodiscard]] dataplane::Lane& lane_of_queue(unsigned queue) {
        return *lanes_[(paired_ ? 2 * queue : queue) % count()];
    }

    [[nodiscard]] dataplane::SnapshotCell& cell() { return cell_; }

    /** Fills one injection of a lane; false when its ring is full (the injection is lost, as a
     * datagram may be). */
    bool inject(unsigned lane, const std::function<void(dataplane::Injection&)>& fill);
    bool inject_all(const std::function<void(dataplane::Injection&)>& fill);

    /** Injections that found a lane's ring full. */
    [[nodiscard]] std::uint64_t injections_lost() const { return injections_lost_; }

    [[nodiscard]] const dataplane::LaneCounters& counters(unsigned lane) const {
        return lanes_[lane]->counters();
    }

    /** Datagrams the kernel dropped at the sockets. */
    [[nodiscard]] std::uint64_t socket_drops() const;

  private:
    void wait_for_punts();
    void drain_punts();
    void look_at_tap();

    dataplane::SnapshotCell cell_;
    LaneDescriptors descriptors_;
    bool paired_;
    os::EventFd control_;
    dataplane::Handoff handoff_;
    dataplane::SuperframeWatch superframes_;
    std::vector<std::unique_ptr<dataplane::Lane>> lanes_;
    std::vector<std::thread> threads_;
    boost::asio::posix::stream_descriptor control_wait_;
    PuntHandler handler_;
    std::uint64_t injections_lost_ = 0;
    std::function<void()> on_tap_gone_;
    bool tap_gone_ = false;
};

} // namespace weave::daemon
