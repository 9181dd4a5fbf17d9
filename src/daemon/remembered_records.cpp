// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/remembered_records.hpp"

#include "crypto/identity.hpp"
#include "daemon/log.hpp"
#include "os/file.hpp"
#include "wire/bytes_io.hpp"

#include <system_error>

#include <unistd.h>

namespace weave::daemon {
namespace {

constexpr auto kInterval = std::chrono::seconds(1);

Bytes encode(const mesh::Store& store) {
    wire::ByteWriter out;
    for (const mesh::Store::Bucket& bucket : store.buckets()) {
        for (const wire::RecordPtr& record : bucket) {
            out.u32(static_cast<std::uint32_t>(record->raw.size())).bytes(record->raw);
        }
    }
    return out.take();
}

std::vector<wire::RecordPtr> decode(ByteView bytes) {
    std::vector<wire::RecordPtr> out;
    wire::ByteReader in{bytes};
    while (in.ok() && in.remaining() != 0) {
        const ByteView raw = in.take(in.u32());
        if (const auto record = wire::decode_shared(raw, crypto::node_id); in.ok() && record) {
            out.push_back(*record);
        }
    }
    return out;
}

} // namespace

RememberedRecords::RememberedRecords(const std::string& run_dir)
    : file_(run_dir + "/records") {}

std::vector<wire::RecordPtr> RememberedRecords::recall() {
    try {
        const os::CheckedFile file = os::read_checked_file(file_);
        return file.state == os::CheckedFile::State::ok ? decode(file.contents)
                                                        : std::vector<wire::RecordPtr>{};
    } catch (const std::system_error& failed) {
        log::warning("event=records_not_recalled reason={}", log::quoted(failed.what()));
        return {};
    }
}

void RememberedRecords::review(const mesh::Store& store, TimePoint now) {
    if (now < next_ || store.digest().hashes == written_.hashes) {
        return;
    }
    next_ = now + kInterval;
    try {
        os::write_checked_file(file_, encode(store), 0600);
        failed_ = false;
    } catch (const std::system_error& failed) {
        if (!std::exchange(failed_, true)) {
            log::warning("event=records_not_written reason={} effect=\"after a crash this node "
                         "waits until its peers connect\"",
                         log::quoted(failed.what()));
        }
    }
    written_ = store.digest();
}

void RememberedRecords::forget() {
    ::unlink(file_.c_str());
}

} // namespace weave::daemon
