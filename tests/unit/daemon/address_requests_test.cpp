// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "daemon/address_requests.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace weave;
using namespace weave::daemon;
using nlohmann::json;

TEST_CASE("who names nothing asks for one of the default subnet") {
    for (const json& params : {json::object(), json{{"addresses", json::array()}}}) {
        for (const auto& requests : {address_requests(params), pod_address_requests(params)}) {
            REQUIRE(requests.size() == 1);
            CHECK(requests[0].kind == ipam::Request::Kind::any);
        }
    }
}

TEST_CASE("only a pod can be without an address, and 'none' stands alone") {
    const json none{{"addresses", {"none"}}};
    CHECK(pod_address_requests(none).empty());
    CHECK_THROWS_AS(address_requests(none), std::invalid_argument);
    const json mixed{{"addresses", {"none", "10.32.0.5/12"}}};
    CHECK_THROWS_AS(pod_address_requests(mixed), std::invalid_argument);
    CHECK(pod_address_requests({{"addresses", {"10.32.0.5/12"}}}).size() == 1);
}
