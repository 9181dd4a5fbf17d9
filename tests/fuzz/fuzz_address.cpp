// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes, endpoints and MACs as people write them.
#include "base/address.hpp"
#include "target.hpp"

#include <string_view>

namespace weave::fuzz {
namespace {

/** No parser takes anything else: neither blanks nor a zero byte with more behind it. */
void check_alphabet(std::string_view text) {
    FUZZ_CHECK(text.find_first_not_of("0123456789abcdefABCDEF.:[]/") == std::string_view::npos);
}

void check_ip(std::string_view text) {
    const auto address = IpAddress::parse(text);
    if (!address) {
        return;
    }
    check_alphabet(text);
    FUZZ_CHECK(IpAddress::parse(address->text()) == address);
    FUZZ_CHECK(IpAddress::from_bytes(address->bytes()) == address);
    FUZZ_CHECK(address->bytes().size() * 8 == address->bits());
    FUZZ_CHECK(address->is_v4() != address->is_v6());
    FUZZ_CHECK(!(address->is_loopback() && (address->is_multicast() || address->is_link_local())));
}

void check_endpoint(std::string_view text) {
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{6783}}) {
        if (const auto endpoint = Endpoint::parse(text, port)) {
            check_alphabet(text);
            FUZZ_CHECK(endpoint->port != 0 || port == 0);
            FUZZ_CHECK(endpoint->port == 0 || Endpoint::parse(endpoint->text(), 1) == endpoint);
        }
    }
}

void check_prefix(std::string_view text) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) {
        return;
    }
    check_alphabet(text);
    FUZZ_CHECK(prefix->length <= prefix->address.bits());
    FUZZ_CHECK(prefix->address.is_v6() == (text.find(':') != std::string_view::npos));
    FUZZ_CHECK(Prefix::parse(prefix->text()) == prefix);
    const Prefix network = prefix->network();
    FUZZ_CHECK(network.network() == network && network.length == prefix->length);
    FUZZ_CHECK(prefix->contains(prefix->address) && prefix->contains(network.address));
    FUZZ_CHECK(prefix->overlaps(network) && network.overlaps(*prefix));
}

void check_mac(std::string_view text) {
    if (const auto mac = MacAddress::parse(text)) {
        check_alphabet(text);
        FUZZ_CHECK(MacAddress::parse(mac->text()) == mac && mac->text().size() == text.size());
    }
}

/** Two prefixes, cut where a blank is. */
void check_pair(std::string_view text) {
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos) {
        return;
    }
    const auto left = Prefix::parse(text.substr(0, blank));
    const auto right = Prefix::parse(text.substr(blank + 1));
    if (left && right) {
        FUZZ_CHECK(left->overlaps(*right) == right->overlaps(*left));
        FUZZ_CHECK(!left->contains(right->address) || left->overlaps(*right));
    }
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave::fuzz;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    check_ip(text);
    check_endpoint(text);
    check_prefix(text);
    check_mac(text);
    check_pair(text);
    return 0;
}
