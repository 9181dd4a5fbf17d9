// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "fastpath/program.hpp"
#include "os/fd.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace weave::fastpath {

/** What the filter of one interface looks for. */
struct FilterSettings {
    MacAddress mac;            ///< of the interface
    std::uint16_t port = 0;    ///< UDP
    std::uint32_t largest = 0; ///< bytes of the largest frame that a socket takes
    bool sparse = false;       ///< odd lanes are for sparse flows: their datagrams pass
};

/** Where the kernel runs the program of an interface. */
enum class Hook : std::uint8_t {
    native, ///< in the driver, before there is a socket buffer
    generic ///< behind it, with any driver
};

/**
 * The eBPF program of one interface with its maps: datagrams to our port at the interface's own
 * addresses go to AF_XDP sockets, everything else passes, what sparse flows send as well. It runs
 * only while attached; program and maps are gone with the last descriptor, so also when the process
 * is killed. Control thread only. Whatever fails throws std::system_error with a sentence.
 */
class Filter {
  public:
    /** Most addresses that one interface's filter knows. */
    static constexpr std::size_t kMaxAddresses = 256;
    static constexpr unsigned kMaxQueues = 64;

    Filter();
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    void configure(const FilterSettings& settings);
    /** In the place of those before; those above kMaxAddresses are left out, and pass. */
    void set_addresses(std::span<const IpAddress> addresses);
    /** What comes to a receive queue goes to that AF_XDP socket. */
    void set_socket(unsigned queue, int socket);

    /** Runs on that interface's frames from now on. A program of somebody else is left alone: that
     * is EEXIST, with its id in the sentence. */
    void attach(unsigned interface, Hook hook);
    void detach();

    [[nodiscard]] bool attached() const { return static_cast<bool>(link_); }

    [[nodiscard]] int program() const { return program_.fd(); }

    /** Datagrams that went to sockets so far. */
    [[nodiscard]] std::uint64_t redirected() const;

  private:
    Program program_;
    os::UniqueFd link_;
};

/** The id of whatever XDP program is on the interface, in any hook; nullopt: none. Throws
 * std::system_error. */
std::optional<std::uint32_t> attached_program(unsigned interface);

} // namespace weave::fastpath
