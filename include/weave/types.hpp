// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the daemon tells. Plain values, texts as a person would write them; fields are only ever
// added at the end of a struct. An empty text and a zero mean "not known" unless the field says
// otherwise.

namespace weave {

/** What one library was found to do with one cipher when the daemon started. */
struct CipherRow {
    std::string suite;          // "AES-256-GCM", "ChaCha20-Poly1305"
    std::string provider;       // "ipsec-mb", "openssl", "libsodium"
    std::string state;          // "used", "spare", "broken" (it gave wrong results)
    std::uint32_t large_ns = 0; // nanoseconds to seal or open a record of 1420 bytes; 0: broken
    std::uint32_t small_ns = 0; // the same for 64 bytes
};

/** One interface of the underlay by which peers are reached. */
struct FastPathRow {
    std::string interface;
    std::string path;           // "sockets", "af_xdp native copy", "af_xdp generic zero-copy", ...
    std::string reason;         // why that one
    std::uint64_t sent = 0;     // datagrams that went past the kernel
    std::uint64_t received = 0; // and came so
    std::uint64_t dropped = 0;  // of those that came: they found no room
    std::uint64_t stalls = 0;   // times that it stood still, and was left for the sockets
};

/** One node in a few lines. */
struct NodeStatus {
    std::string version;
    std::string name;
    std::string node_id;                // 32 hexadecimal characters
    std::string cluster_id;             // 32 hexadecimal characters
    std::vector<std::string> addresses; // underlay addresses other nodes may use, "192.0.2.1:6783"
    std::uint16_t port = 0;             // TCP and UDP
    bool encryption = true;             // false: weaved runs with --clear
    std::string cipher_provider;        // of the cipher that this node proposes: see `ciphers`
    std::uint64_t uptime_seconds = 0;
    std::uint32_t lanes = 0;        // without those for sparse flows
    std::uint32_t sparse_lanes = 0; // as many more, or none
    std::uint32_t peers_direct = 0;
    std::uint32_t peers_relayed = 0;
    std::uint32_t peers_unreachable = 0;
    std::uint32_t connections_established = 0;
    std::uint32_t connections_pending = 0; // dialling, shaking hands or waiting to try again
    std::uint32_t connections_failed = 0;  // refused for good: see the reason of the connection
    std::uint32_t targets = 0;
    std::uint32_t attachments = 0;
    std::uint64_t drops_total = 0;
    std::uint64_t handshakes_total = 0;
    std::uint64_t rekeys_total = 0;
    std::uint64_t udp_socket_drops_total =
        0;                             // datagrams the kernel dropped because a socket was full
    std::vector<std::string> exposed;  // host addresses on the pod network, "10.32.0.1/12"
    std::vector<std::string> warnings; // one sentence each: what is degraded and how to mend it
    std::vector<CipherRow> ciphers;    // one per suite and provider of this host
    std::string fast_path;             // what --fast-path says
    std::vector<FastPathRow> fast_paths;
};

/** One control connection, made or attempted. */
struct ConnectionRow {
    std::string direction; // "in" or "out"
    std::string endpoint;  // "192.0.2.1:6783"
    std::string peer;      // the peer's name; empty until it is known
    std::string state;     // "established", "connecting", "retrying", "failed", "waiting", "self"
    std::string path;      // "direct", "relay via NAME"
    std::string cipher;    // "AES-256-GCM", "ChaCha20-Poly1305", "clear" (not encrypted),
                           // "none"; empty without a peer
    std::uint32_t mtu = 0; // bytes of the largest underlay packet that passes
    double rtt_ms = 0;     // milliseconds
    std::string reason;    // why it is not established, one sentence
};

/** One node that this one knows, this one excepted. */
struct PeerRow {
    std::string name; // unique: a second holder of a name is "name~fingerprint"
    std::string id;   // 32 hexadecimal characters
    std::vector<std::string> addresses;
    std::string path; // "direct", "relay via NAME", "unreachable"
    double rtt_ms = 0;
    std::uint32_t mtu = 0;
    std::uint64_t transmit_bytes = 0; // sealed traffic to this peer
    std::uint64_t transmit_packets = 0;
    std::uint64_t receive_bytes = 0;
    std::uint64_t receive_packets = 0;
    std::int64_t key_age_seconds = -1; // -1: there is no data session
    std::uint32_t pods = 0;            // pods on this peer
    std::string cipher;
    /** Trains of datagrams (UDP GSO) that arrive there, as probes found: "untested", "whole" (all),
     * "no_equal_tail" (those with a shorter last one), "none". */
    std::string trains;
};

/** An endpoint this node was told to connect to. */
struct TargetRow {
    std::string target; // as given: an address or a host name, with or without a port
    std::string origin; // "start", "connect"
    std::string state;  // "connected", "connecting", "retrying", "failed", "waiting", "self"
    std::string peer;   // the name behind it; empty until it is known
    std::uint32_t attempts = 0;        // since it was connected the last time
    std::uint32_t next_attempt_ms = 0; // milliseconds until the next attempt
    std::string reason;                // why the last attempt failed, one sentence
};

/** One named reason to drop, and how often it happened. */
struct DropRow {
    std::string name; // stable, snake_case: the label of the metric
    std::string text; // the same for a person
    std::uint64_t count = 0;
    std::vector<std::uint64_t> lanes; // the same lane by lane; empty for what no lane counts
};

/** What one worker thread of the data plane has done. */
struct LaneRow {
    std::uint32_t lane = 0;
    std::uint64_t tap_reads = 0;           // frames and superframes from pods
    std::uint64_t tap_writes = 0;          // frames and superframes to pods
    std::uint64_t records_sealed = 0;      // datagrams sealed
    std::uint64_t records_opened = 0;      // datagrams opened
    std::uint64_t sends = 0;               // calls that sent a datagram or a train of them
    std::uint64_t receives = 0;            // datagrams or trains received
    std::uint64_t relayed = 0;             // datagrams passed on for others
    std::uint64_t gso_fallbacks = 0;       // trains that the kernel refused and took one by one
    std::uint64_t tap_gso_fallbacks = 0;   // superframes written to the TAP one frame at a time
    std::uint64_t neighbours_answered = 0; // ARP and ND questions answered for pods of other nodes
    std::uint64_t neighbours_here = 0;     // those for addresses of this node, which did not travel
    std::uint64_t congestion_marks = 0;    // frames that got the underlay's congestion mark (ECN)
    std::uint64_t fast_sent = 0;           // datagrams that went past the kernel
    std::uint64_t fast_received = 0;       // and came so
};

/** A pod interface on this host. */
struct AttachmentRow {
    std::string id;
    std::string ifname;      // inside the pod, "eth0"
    std::string host_ifname; // on the host, "wv1a2b3c4d"
    std::string mac;
    std::vector<std::string> addresses; // "10.32.0.5/12"
    std::uint64_t netns_inode = 0;
    std::string host_mac;              // of the host end
    std::uint32_t mtu = 0;             // bytes, of both ends
    std::string mode;                  // "bridge", "routed"
    std::vector<std::string> gateways; // one per address, empty where it has none
};

// What the daemon is asked for. An address is wanted as a text: "10.32.0.5/12" (this very one),
// "net:10.40.0.0/16" (one of that subnet), "net:default" (one of the default subnet, and one of the
// IPv6 range where there is one). Nothing at all means "net:default". For a pod "none" alone: no
// address.

/** An interface for a pod. */
struct AttachRequest {
    std::string ifname = "eth0"; // inside the pod
    std::string id;              // the caller's own name for the pod, at most 128 characters
    std::vector<std::string> addresses;
    std::string mac;             // random when empty
    std::uint32_t mtu = 0;       // 0: what fits this network
    std::string mode;            // "bridge", "routed"; empty: the daemon's choice
    std::optional<bool> routes;  // a default route; nothing: as is usual for the mode
    std::optional<bool> gateway; // bridge: the host is to have an address in the pod's network;
                                 // nothing: as `routes`
    std::uint32_t wait_ms = 0;   // how long to wait for a free address; 0: the daemon's choice
};

/** Addresses without an interface. */
struct AllocateRequest {
    std::string holder; // who gets them: the same holder again gets the same addresses
    std::vector<std::string> addresses;
    std::uint32_t wait_ms = 0; // how long to wait for a free address; 0: the daemon's choice
    std::uint64_t netns = 0;   // inode of the network namespace that uses them: when it is gone,
                               // 'ipam gc' and the next start of weaved give them back; 0: unknown
};

/** Addresses that a holder has now. */
struct Allocation {
    std::vector<std::string> addresses; // "10.32.0.5/12"
    std::vector<std::string> gateways;  // one per address, empty where it has none
};

/** Which holders are left when all others are released. */
struct CollectRequest {
    std::string prefix;             // of the holders that are looked at; not empty
    std::vector<std::string> valid; // those of them that stay
    bool dry_run = false;           // only tell
};

/** A holder that lost its addresses. */
struct ReleasedRow {
    std::string holder;
    std::vector<std::string> addresses;
};

/** Whether a pod can be attached now. */
struct Readiness {
    bool ready = false;
    std::string reason; // why not, one sentence
};

} // namespace weave
