// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// The cluster file, which is also the token that is passed from host to host.
#include "daemon/cluster_file.hpp"
#include "daemon/options.hpp"
#include "target.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace weave::fuzz {
namespace {

const std::string& path() {
    static const std::string out = std::string(scratch_folder()) + "/cluster.json";
    return out;
}

void write_input(ByteView bytes) {
    static const int fd = ::open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && ::ftruncate(fd, 0) == 0);
    FUZZ_CHECK(::pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
}

/** What was accepted says the same when it is read in the plainest way. */
void check(const daemon::Cluster& cluster, ByteView bytes) {
    const auto document = nlohmann::json::parse(bytes, nullptr, false);
    FUZZ_CHECK(document.is_object() && document.at("weavemesh_cluster").is_number_integer());
    Bytes id(cluster.id.size());
    FUZZ_CHECK(from_hex(document.at("id").get<std::string>(), id) && same(id, cluster.id));
    const auto& secrets = document.at("secrets");
    FUZZ_CHECK(secrets.is_array() && secrets.size() == cluster.secrets.size());
    FUZZ_CHECK(secrets.size() == 1 || secrets.size() == 2);
    for (std::size_t i = 0; i < secrets.size(); ++i) {
        FUZZ_CHECK(secrets[i].at("id").is_number_unsigned());
        FUZZ_CHECK(secrets[i].at("id").get<std::uint64_t>() == cluster.secrets[i].id);
        FUZZ_CHECK(to_hex(cluster.secrets[i].key->view()).size() == 64);
    }
    FUZZ_CHECK(secrets.size() == 1 || cluster.secrets[0].id != cluster.secrets[1].id);
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave;
    fuzz::restart_randomness();
    fuzz::write_input({data, size});
    try {
        fuzz::check(daemon::read_cluster_file(fuzz::path()), {data, size});
    } catch (const daemon::ConfigError& error) {
        FUZZ_CHECK(std::string_view(error.what()).find("cluster file") != std::string_view::npos);
    } catch (const std::system_error&) {
        FUZZ_CHECK(size > 64 * 1024);
    }
    return 0;
}
