// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/refusals.hpp"

#include <array>

namespace weave::daemon {

std::span<const Refusal> refusals() {
    static constexpr std::array kAll{
        Refusal{
            "control_connection_refused",
            "a TCP connection to the control port was one too many, or ended before its handshake"},
        Refusal{"control_handshake_failed",
                "a connection to the control port failed its handshake"},
        Refusal{"mesh_bad_signature", "a record is not signed by the node it speaks for"},
        Refusal{"mesh_identity_twice",
                "two routers were noticed that use one node's identity: its state was copied"},
        Refusal{"mesh_malformed_message", "a message on a control link does not parse"},
        Refusal{"mesh_malformed_record", "a record in a batch does not parse"},
        Refusal{"mesh_malformed_topology", "a node's topology record does not parse"},
        Refusal{"mesh_no_room", "a record was not asked for: the store is full"},
        Refusal{"mesh_own_id_elsewhere",
                "another router outbids this node's records: it runs with the same identity"},
        Refusal{"mesh_own_record_too_long", "this node has more to tell than one record holds"},
        Refusal{"mesh_record_too_long", "a record is longer than allowed"},
        Refusal{"mesh_send_queue_full", "a peer reads too slowly; messages to it were dropped"},
        Refusal{"mesh_too_many_bytes", "a record of a kind for which the store has no more room"},
        Refusal{"mesh_too_many_nodes", "a record of one node more than the store takes"},
        Refusal{"mesh_too_many_records",
                "a record of one kind more than the store takes from a node"},
        Refusal{"mesh_unknown_message",
                "a message on a control link is of a kind this version does not know"},
        Refusal{"mesh_unreachable_list_full", "more unreachable peers than one record can name"},
        Refusal{"session_bad_cookie", "a cookie does not authenticate"},
        Refusal{"session_bad_init",
                "a handshake's first message does not authenticate: wrong secret or garbage"},
        Refusal{"session_bad_mac1",
                "a handshake datagram does not know the cluster: garbage or another cluster's"},
        Refusal{"session_cookie_sent",
                "under a flood of handshakes a stranger was asked to prove its address"},
        Refusal{"session_bad_response", "a handshake's answer does not authenticate"},
        Refusal{"session_forgery_limit", "so many forged records came that a peer got new keys"},
        Refusal{"session_init_impossible",
                "a handshake could not be started: the peer's key or the cipher suite is unusable"},
        Refusal{"session_init_over_limit", "handshakes arrive faster than they are answered"},
        Refusal{"session_late_cookie", "a cookie fits no handshake under way"},
        Refusal{"session_late_refusal", "a refusal fits no handshake under way"},
        Refusal{"session_late_response", "a handshake's answer fits no handshake under way"},
        Refusal{"session_malformed", "a handshake datagram does not parse"},
        Refusal{"session_peer_key_taken", "two nodes announce the same key"},
        Refusal{"session_refusal_received", "a peer refused a handshake"},
        Refusal{"session_refusal_suppressed",
                "a handshake was refused without an answer: refusals are limited"},
        Refusal{"session_refused",
                "a handshake of another cluster, secret, version or suite, or of "
                "an unknown node, was refused"},
        Refusal{"session_replayed_init", "a handshake's first message was seen before"},
        Refusal{"session_too_many_peers", "more peers than sessions are kept for"},
        Refusal{"session_unknown_peer", "a handshake of a node that is not, or not yet, known"},
        Refusal{"session_unknown_type",
                "a handshake datagram bears a type this version does not know"},
        Refusal{"takeover_failed",
                "a successor began to take this router over and gave up; it goes on"},
        Refusal{"takeover_malformed", "what asked to take this router over is no weaved"},
        Refusal{"takeover_of_other_format",
                "a weaved of another version asked to take this router over"},
        Refusal{"takeover_of_other_user",
                "a process of another user asked to take this router over"},
        Refusal{"takeover_refused",
                "a weaved whose options do not fit asked to take this router over"},
    };
    return kAll;
}

} // namespace weave::daemon
