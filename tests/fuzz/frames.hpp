// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/merge.hpp"
#include "target.hpp"

#include <map>
#include <vector>

namespace weave::fuzz {

/** RFC 1071 word by word, with nothing of the code under test; folded, not complemented. */
std::uint16_t plain_sum(ByteView bytes, std::uint32_t start = 0);

/** The folded pseudo-header sum of a TCP or UDP packet whose segment has `length` bytes. */
std::uint16_t plain_pseudo_sum(ByteView frame, const dataplane::Packet& packet, std::size_t length);

/** Offsets are ordered and lie within the frame. */
void check_packet(ByteView frame, const dataplane::Packet& packet);

/** The pseudo-header sum that a packet with a partial checksum states, without the length. */
std::uint16_t stated_pseudo_sum(ByteView frame, const dataplane::Packet& packet);

/** A frame cut from a superframe stands alone: lengths, IPv4 checksum and partial checksum hold.
 * `stated`: of the superframe; behind IPv6 extension headers that is all there is to go by. */
void check_cut(ByteView frame, const dataplane::Packet& packet, std::uint16_t stated);

/**
 * Takes what a Merger writes and cuts it again: every frame that went in has to come out, bit for
 * bit but for fields that a superframe has once (checksums, and IPv4 ids where DF is set), and the
 * frames of one flow in their order. Pure acknowledgements may be overtaken.
 */
class MergeOracle : public dataplane::FrameSink {
  public:
    /** To be called for what is given to the merger. */
    void expect(ByteView frame, const dataplane::Packet& packet, bool partial);
    void write(const dataplane::VnetHeader& vnet,
               std::span<const iovec> parts,
               std::span<const ByteView> frames) override;
    /** After Merger::flush(): nothing is missing, and nothing is new. */
    void check();

    /** Frames in the order they came out. */
    [[nodiscard]] const std::vector<Bytes>& written() const { return written_; }

  private:
    /** What is compared; by flow, in order. */
    struct Log {
        std::map<Bytes, std::vector<Bytes>> flows;
        std::map<Bytes, int> all;
        void add(ByteView frame, const dataplane::Packet& packet, bool partial);
    };

    void write_super(const dataplane::VnetHeader& vnet, Bytes& frame, std::size_t expected);

    Log in_;
    Log out_;
    std::vector<Bytes> written_;
};

} // namespace weave::fuzz
