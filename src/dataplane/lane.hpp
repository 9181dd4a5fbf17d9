// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "dataplane/counters.hpp"
#include "dataplane/fast_port.hpp"
#include "dataplane/handoff.hpp"
#include "dataplane/punt.hpp"
#include "dataplane/snapshot_cell.hpp"
#include "dataplane/superframe_watch.hpp"
#include "os/event_fd.hpp"
#include "os/udp_socket.hpp"

#include <atomic>
#include <memory>

namespace weave::dataplane {

/** What a lane works with. Descriptors, sockets, the cell and the event outlive the lane, which
 * owns none. */
struct LaneConfig {
    unsigned index = 0;
    unsigned lanes = 1;
    /** This lane's TAP queue: non-blocking, 10-byte virtio-net header. -1 = none. */
    int tap = -1;
    /** The TAP takes coalesced UDP. */
    bool tap_uso = false;
    const os::UdpSocket* udp4 = nullptr;
    const os::UdpSocket* udp6 = nullptr;
    SnapshotCell* cell = nullptr;
    /** Signalled when a punt waits. */
    os::EventFd* control = nullptr;
    /** With several lanes: how datagrams reach the lane that owns their key. */
    Handoff* handoff = nullptr;
    /** Of all lanes: whether what they write to the TAP arrives. */
    SuperframeWatch* superframes = nullptr;
    /** Slots of the punt and of the injection ring; powers of two. */
    std::size_t ring_slots = 256;
};

/**
 * One worker: moves frames between its TAP queue and its sockets under the current snapshot. run()
 * is the body of its thread; everything else but the rings, wake(), stop() and counters() belongs
 * to that thread.
 */
class Lane {
  public:
    explicit Lane(const LaneConfig& config);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    /** Works until stop(). May be called again once it returned. */
    void run();
    /** One wait of at most `timeout` (negative = for ever) and one batch of whatever was ready. */
    void run_once(Duration timeout);
    /** Any thread. */
    void stop();
    /** Any thread: makes the lane look at its injections. */
    void wake();

    /** While run() does not: it receives by that port, and sends by it what the snapshot says. At
     * most kMaxFastPorts. */
    void add_fast_port(std::unique_ptr<FastPort> port);
    /** While run() does not; the sockets may be closed then. */
    void remove_fast_ports(std::uint8_t port);
    /** The control thread: see FastPort::gone(). */
    [[nodiscard]] bool fast_port_gone(std::uint8_t port) const;

    /** The control thread is the consumer of punts() and the producer of injections(). */
    [[nodiscard]] PuntRing& punts();
    [[nodiscard]] InjectionRing& injections();
    [[nodiscard]] const LaneCounters& counters() const;
    /** Any thread: the TAP was removed. `control` was signalled when this became true. */
    [[nodiscard]] bool tap_gone() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace weave::dataplane
