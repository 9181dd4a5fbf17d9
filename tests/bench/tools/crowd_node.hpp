// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/identity.hpp"
#include "dataplane/data_session.hpp"
#include "session/manager.hpp"
#include "session/path.hpp"
#include "wire/record.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace weave::bench {

/** What all nodes of a crowd have in common. */
struct CrowdSettings {
    wire::ClusterId cluster{};
    std::vector<session::ClusterSecret> secrets;
    IpAddress address; ///< of this host; node i has TCP and UDP port first_port + i
    std::uint16_t first_port = 0;
    Endpoint router; ///< the one router that the crowd shows itself to
};

inline constexpr std::uint64_t kCrowdEpoch = 1;

/**
 * One node of a crowd as far as data goes: the session and the path machine of a real one, and a
 * pod that sends UDP datagrams back to where they came from. One thread, the io_context's.
 */
class CrowdNode {
  public:
    /** Throws boost::system::system_error when the port is taken. */
    CrowdNode(boost::asio::io_context& io, const CrowdSettings& settings, unsigned number);

    [[nodiscard]] const crypto::Identity& identity() const { return identity_; }

    [[nodiscard]] Endpoint endpoint() const;

    /** What a node signs about itself, topology and addresses. */
    [[nodiscard]] std::vector<wire::RecordPtr> records() const;

    /** The router said who it is: from now on it can have a session. */
    void meet(const NodeId& router,
              const crypto::PublicKey& static_key,
              std::uint64_t boot_epoch,
              TimePoint now);
    void tick(TimePoint now);

  private:
    using SessionPtr = std::shared_ptr<dataplane::DataSession>;

    void receive();
    void on_datagram(ByteSpan datagram, const Endpoint& from);
    void open(ByteSpan datagram, TimePoint now);
    void take(ByteSpan plaintext, std::size_t outer_size, TimePoint now);
    void answer_frame(const wire::RecordSpan& record);
    void seal(const Bytes& plaintext);
    void say_hello();
    void probe(const session::SendProbe& probe);
    void send(ByteView datagram, const Endpoint& to);
    void run(TimePoint now);
    void perform(session::Install& install, TimePoint now);
    void perform(const session::Promote& promote, TimePoint now);
    void perform(const session::Retire& retire);
    void start_sending(SessionPtr session, TimePoint now);

    const CrowdSettings& settings_;
    unsigned number_;
    crypto::Identity identity_;
    boost::asio::ip::udp::socket socket_;
    boost::asio::ip::udp::endpoint from_;
    std::array<std::uint8_t, 2048> buffer_{};
    std::optional<session::Manager> sessions_;
    session::PathMonitor path_;
    NodeId router_;
    std::map<std::uint32_t, SessionPtr> receiving_;
    SessionPtr sending_;
    TimePoint last_received_ = TimePoint::min();
    TimePoint last_sent_ = TimePoint::min();
};

} // namespace weave::bench
