// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "crypto/identity.hpp"
#include "daemon/remembered_records.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

using namespace weave;
using namespace weave::daemon;
using namespace std::chrono_literals;

namespace {

struct Folder {
    Folder() {
        std::array<char, 32> name{"/tmp/weave-records-XXXXXX"};
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name.data();
    }

    ~Folder() {
        ::unlink((path + "/records").c_str());
        ::rmdir(path.c_str());
    }

    std::string path;
};

wire::RecordPtr record_of(std::uint8_t number, std::uint64_t version) {
    std::array<std::uint8_t, 32> seed{};
    seed.fill(number);
    const auto identity = crypto::Identity::from_seed(crypto::Key32(seed));
    wire::Topology topology;
    topology.name = "n" + std::to_string(number);
    auto record = wire::sign_record(identity.id(),
                                    identity.sign_public(),
                                    {1, version},
                                    wire::kTopologyKind,
                                    wire::encode_topology(topology),
                                    [&](ByteView bytes) { return identity.sign(bytes); });
    REQUIRE(record.has_value());
    return std::make_shared<wire::Record>(std::move(*record));
}

} // namespace

TEST_CASE("records come back as their owners signed them, and not after an orderly end") {
    Folder folder;
    mesh::Store store{{}};
    const std::array records{record_of(1, 5), record_of(2, 6)};
    for (const wire::RecordPtr& record : records) {
        REQUIRE(store.put(record) == mesh::Store::Put::stored);
    }
    const TimePoint now = Clock::now();
    RememberedRecords router(folder.path);
    CHECK(router.recall().empty());
    router.review(store, now);
    RememberedRecords next(folder.path);
    const auto found = next.recall();
    REQUIRE(found.size() == 2);
    for (const wire::RecordPtr& record : found) {
        CHECK(record->raw == store.find(record->id())->raw);
    }
    router.forget();
    CHECK(next.recall().empty());
}

TEST_CASE("a change is written, but not more than once a second") {
    Folder folder;
    mesh::Store store{{}};
    const TimePoint now = Clock::now();
    RememberedRecords router(folder.path);
    REQUIRE(store.put(record_of(1, 1)) == mesh::Store::Put::stored);
    router.review(store, now);
    REQUIRE(store.put(record_of(2, 1)) == mesh::Store::Put::stored);
    router.review(store, now + 500ms);
    CHECK(RememberedRecords(folder.path).recall().size() == 1);
    router.review(store, now + 1s);
    CHECK(RememberedRecords(folder.path).recall().size() == 2);
}

TEST_CASE("a damaged file is no file, and an unwritable folder no failure") {
    Folder folder;
    mesh::Store store{{}};
    REQUIRE(store.put(record_of(1, 1)) == mesh::Store::Put::stored);
    RememberedRecords router(folder.path);
    router.review(store, Clock::now());
    {
        std::fstream file(folder.path + "/records",
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(20);
        file.put('x');
        file.put('y');
    }
    CHECK(router.recall().empty());
    RememberedRecords nowhere("/nonexistent/folder");
    nowhere.review(store, Clock::now());
    CHECK(nowhere.recall().empty());
}
