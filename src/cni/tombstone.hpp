// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace weave::cni {

/** The longest id that weaved keeps for a pod, in characters. */
inline constexpr std::size_t kMaxId = 128;

/** How one attachment of a network is called everywhere. */
struct AttachmentName {
    std::string network;
    std::string container_id;
    std::string ifname;

    /** Of the pod: what weaved's attach is told. */
    [[nodiscard]] std::string id() const { return "cni/" + network + "/" + container_id; }

    /** Of its addresses in the allocator. */
    [[nodiscard]] std::string holder() const { return id() + "/" + ifname; }
};

/**
 * Attachments that the runtime deleted while weaved was not there: one file each, written whole,
 * in STATE-DIR/tombstones (docs/files.md). weaved works them off when it starts; plugins that
 * reach it do so too. Thread-safety: any number of processes at a time.
 *
 * Whoever works one off holds flock(2) on it from before the request until it is unlinked, so that
 * a late removal never meets an ADD of the same attachment: that ADD settles the tombstone first.
 */
class Tombstones {
  public:
    /** Removes what a name stands for; false: it could not, and the tombstone stays. */
    using Remove = std::function<bool(
        const std::string& id, const std::string& ifname, const std::string& holder)>;

    explicit Tombstones(const std::string& state_dir)
        : folder_(state_dir + "/tombstones")
        , state_dir_(state_dir) {}

    /** On the disk when it returns. Throws std::system_error. */
    void write(const AttachmentName& name) const;

    /** Works off the one of this attachment, when there is one; false: it is still there. */
    bool settle(const AttachmentName& name, const Remove& remove) const;

    /** Works off at most so many; leaves those that another process has in hand. */
    void settle_some(std::size_t limit, const Remove& remove) const;

    [[nodiscard]] const std::string& folder() const { return folder_; }

  private:
    [[nodiscard]] std::string path_of(const AttachmentName& name) const;

    std::string folder_;
    std::string state_dir_;
};

} // namespace weave::cni
