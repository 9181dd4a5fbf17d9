// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <weave/error.hpp>
#include <weave/types.hpp>
#include <weave/version.hpp>

#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace weave {

/**
 * A connection to the weaved of this host through its control socket.
 *
 * Every call blocks until the daemon has answered, or fails after the timeout (30 seconds unless
 * told). Every call has a throwing form (weave::Error, whose what() is one sentence) and a form
 * that sets a std::error_code and returns an empty value; last_error() then has the sentence. After
 * a failure that is not the daemon's answer (disconnected, timed_out, protocol) connect again.
 *
 * Thread-safety: one thread at a time per Client.
 */
class Client {
  public:
    /** Connects to the socket, by default "/run/weave/weave.sock". Errors: not_running, permission.
     */
    static Client connect(const std::string& socket_path = "/run/weave/weave.sock");
    static Client connect(const std::string& socket_path, std::error_code& error);

    /** Not connected: every call fails with Errc::disconnected. */
    Client();
    ~Client();
    Client(Client&& other) noexcept;
    Client& operator=(Client&& other) noexcept;

    /** How long one call may wait for the daemon, in milliseconds; 0 waits for ever. */
    void set_timeout(unsigned milliseconds);
    /** The sentence that belongs to the last failure; empty before the first. */
    [[nodiscard]] const std::string& last_error() const noexcept;
    /** What the daemon answered to the last call that succeeded, as JSON; empty before the first.
     */
    [[nodiscard]] std::string last_result() const;

    NodeStatus status();
    NodeStatus status(std::error_code& error);
    std::vector<ConnectionRow> connections();
    std::vector<ConnectionRow> connections(std::error_code& error);
    std::vector<PeerRow> peers();
    std::vector<PeerRow> peers(std::error_code& error);
    std::vector<TargetRow> targets();
    std::vector<TargetRow> targets(std::error_code& error);
    std::vector<DropRow> drops();
    std::vector<DropRow> drops(std::error_code& error);
    std::vector<AttachmentRow> attachments();
    std::vector<AttachmentRow> attachments(std::error_code& error);

    /** Adds targets to connect to (HOST or ADDRESS, either with :PORT, or [IPV6]:PORT); `replace`
     * forgets all others. */
    void connect_peers(const std::vector<std::string>& peers, bool replace = false);
    void connect_peers(const std::vector<std::string>& peers, bool replace, std::error_code& error);
    /** Removes targets; their connections close unless something else asks for them. */
    void forget(const std::vector<std::string>& peers);
    void forget(const std::vector<std::string>& peers, std::error_code& error);

    /**
     * Puts an interface into a network namespace and gives it addresses ("10.32.0.5/12"). `netns`
     * is an open descriptor of the namespace; it stays the caller's. Doing it again adds what is
     * missing.
     */
    AttachmentRow
    attach(int netns, const std::string& ifname, const std::vector<std::string>& addresses);
    AttachmentRow attach(int netns,
                         const std::string& ifname,
                         const std::vector<std::string>& addresses,
                         std::error_code& error);
    /**
     * The same with everything that can be asked for. Errors: invalid, conflict, exhausted (no
     * address to be had), unavailable (try again later).
     */
    AttachmentRow attach(int netns, const AttachRequest& request);
    AttachmentRow attach(int netns, const AttachRequest& request, std::error_code& error);
    /**
     * Takes the interface away again. An empty `ifname` takes all of ours in that namespace. Error:
     * not_found.
     */
    void detach(int netns, const std::string& ifname);
    void detach(int netns, const std::string& ifname, std::error_code& error);
    /**
     * The same for what was attached with this id, whether its namespace is still there or not.
     * Error: not_found.
     */
    void detach_id(const std::string& id, const std::string& ifname);
    void detach_id(const std::string& id, const std::string& ifname, std::error_code& error);
    /** Whether a pod can be attached now. */
    Readiness ready();
    Readiness ready(std::error_code& error);

    /** Takes addresses for a holder. Errors: invalid, conflict, exhausted, unavailable. */
    Allocation ipam_allocate(const AllocateRequest& request);
    Allocation ipam_allocate(const AllocateRequest& request, std::error_code& error);
    /** Gives back what the holder has, and returns it; empty when that is nothing. */
    std::vector<std::string> ipam_release(const std::string& holder);
    std::vector<std::string> ipam_release(const std::string& holder, std::error_code& error);
    /** What the holder has. Error: not_found. */
    std::vector<std::string> ipam_check(const std::string& holder);
    std::vector<std::string> ipam_check(const std::string& holder, std::error_code& error);
    /** Releases the holders that begin with a prefix, apart from some, and detaches them. */
    std::vector<ReleasedRow> ipam_collect(const CollectRequest& request);
    std::vector<ReleasedRow> ipam_collect(const CollectRequest& request, std::error_code& error);

    /** Gives the host itself addresses on the pod network. */
    void expose(const std::vector<std::string>& addresses);
    void expose(const std::vector<std::string>& addresses, std::error_code& error);
    void hide(const std::vector<std::string>& addresses);
    void hide(const std::vector<std::string>& addresses, std::error_code& error);

    /**
     * Any method of the control protocol by its name; `params` and what it returns are JSON, the
     * items of a stream as one array. For what has no call of its own here.
     */
    std::string call(const std::string& method, const std::string& params);
    std::string call(const std::string& method, const std::string& params, std::error_code& error);

    /** Everything above in one JSON text. */
    std::string report();
    std::string report(std::error_code& error);
    /** The daemon's version. */
    std::string version();
    std::string version(std::error_code& error);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace weave
