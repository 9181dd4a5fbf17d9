// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Every reason for which a lane drops something: DROP(name, sentence). Included by drop.hpp only.
// Order is free; names are what metrics and reports show, so they stay once published.

DROP(no_route, "no node owns the destination address")
DROP(no_session, "the peer has no data session and frames cannot wait for one")
DROP(no_path, "no path to the peer is up")
DROP(queue_full, "too many frames waited for a data session; the oldest was dropped")
DROP(waited_too_long, "the frame waited for a data session until nobody wants it any more")
DROP(local_destination, "the destination is attached to this node")
DROP(source_not_attached, "a local frame bears a source address another node owns")
DROP(source_not_owned, "a peer sent a frame whose source address it does not own")
DROP(ce_on_not_ect,
     "the underlay marked congestion on a packet whose sender cannot be told of it (RFC 6040)")
DROP(too_big, "the frame does not fit the path and may not be fragmented")
DROP(size_unmeasured,
     "the frame does not fit what is proved of the path, whose size is being searched")
DROP(malformed_frame, "the frame is not valid Ethernet or bears a bad offload header")
DROP(malformed_datagram, "the datagram is shorter than its header")
DROP(malformed_record, "an opened record does not parse")
DROP(unknown_record, "an opened record bears a kind this version does not know")
DROP(unknown_kind, "the datagram bears a type this version does not know")
DROP(unknown_receiver, "no data session bears the receiver index")
DROP(wrong_lane, "the datagram came to a lane that does not own its key")
DROP(handoff_full, "the lane that owns the key is behind")
DROP(replayed, "the counter was seen before or is too old")
DROP(bad_tag, "the datagram does not authenticate")
DROP(seal_limit, "the traffic key is used up and no newer one is there")
DROP(key_expired, "the traffic key is too old and no newer one is there")
DROP(ttl_expired, "the relay hop limit ran out")
DROP(relay_loop, "the relayed datagram would return to where it came from")
DROP(relay_refused, "the relayed datagram is for a node this one cannot reach")
DROP(tap_write_failed, "the kernel refused a frame on the TAP")
DROP(tap_full, "the kernel had no room for a frame on the TAP")
DROP(tap_down, "the TAP is down, or was removed")
DROP(send_failed, "the kernel refused a datagram")
DROP(send_buffer_full,
     "the kernel had no room for a datagram: the way out is slower than what comes")
DROP(send_unreachable, "the kernel has no interface, address or route to send a datagram by")
DROP(send_refused, "a packet filter of this host refused a datagram")
DROP(truncated, "a datagram or frame was larger than the buffer")
DROP(punt_full, "the control thread is behind; the event was dropped")
