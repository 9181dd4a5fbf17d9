// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/transport_keys.hpp"
#include "daemon/lane_descriptors.hpp"
#include "dataplane/data_session.hpp"
#include "session/manager.hpp"
#include "session/path.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

/**
 * What one weaved hands to the next, as bytes. Times are of the monotonic clock, which both share.
 * Both are of one format or nothing is handed over: there is no reading of a newer one.
 */
namespace weave::daemon {

/** Raised with every change of what stands below. */
inline constexpr std::uint32_t kHandoverFormat = 3;

/** What cannot change while a router runs: the two must agree in it. */
struct HandoverFit {
    std::string state_dir;
    std::string cluster;
    std::string port;
    std::string listen;
    std::string bridge;
    std::string tap;
    std::string lanes;
    std::string clear; ///< "on" or "off"

    /** An option in which the two differ, with a sentence; empty when they agree. */
    [[nodiscard]] std::string difference(const HandoverFit& running) const;
};

struct HandoverRequest {
    std::string software;
    HandoverFit fit;
};

Bytes encode_request(const HandoverRequest& request);
/** Errors: protocol_not_supported (another format), bad_message. */
Result<HandoverRequest> decode_request(ByteView bytes);

/** One session's keys. */
struct HandedKeys {
    crypto::TransportKeys keys;
    dataplane::DataSession::Lifetime lifetime;
    wire::Features features = 0;
};

struct HandedPeer {
    NodeId node;
    std::uint64_t epoch = 0;
    session::PathState path;
    std::vector<HandedKeys> keys;
    std::optional<std::uint32_t> sending; ///< local index of the session in use
    std::optional<TimePoint> installed;
    std::optional<bool> told_unreachable;
};

/** Everything but how far keys were used, which changes until the last moment. */
struct Handover {
    TimePoint started{};
    std::uint64_t boot_epoch = 0;
    std::uint64_t mesh_version = 0;
    std::uint64_t handshake_counter = 0;
    LaneShape lanes; ///< their descriptors come behind that of the state folder's lock
    std::vector<Bytes> records;
    std::vector<MacAddress> learned;
    std::map<Endpoint, IpAddress> locals;
    std::vector<session::PeerSessions> sessions;
    std::vector<HandedPeer> peers;
};

/** The bytes hold keys: whoever has them wipes them. */
Bytes encode_handover(const Handover& handover);
/** Error: bad_message. */
Result<Handover> decode_handover(ByteView bytes);

/** By local index. */
using HandoverProgress = std::map<std::uint32_t, dataplane::DataSession::Progress>;

Bytes encode_progress(const HandoverProgress& progress);
/** Error: bad_message. */
Result<HandoverProgress> decode_progress(ByteView bytes);

} // namespace weave::daemon
