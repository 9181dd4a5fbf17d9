// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/nftables_query.hpp"

#include "os/error.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

namespace weave::os {
namespace {

/** A dump that others changed the ruleset under is asked for again, this often. */
constexpr int kAttempts = 10;

template <std::size_t N> using Attributes = std::array<const nlattr*, N>;

template <std::size_t N> int keep_attribute(const nlattr* attribute, void* into) {
    if (mnl_attr_get_type(attribute) < N) {
        (*static_cast<Attributes<N>*>(into))[mnl_attr_get_type(attribute)] = attribute;
    }
    return MNL_CB_OK;
}

nlmsghdr* put_request(std::uint8_t* buffer, unsigned kind, unsigned flags) {
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | kind);
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    auto* const family =
        static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    family->nfgen_family = AF_UNSPEC;
    family->version = NFNETLINK_V0;
    return message;
}

std::string_view text_of(const nlattr* attribute) {
    return attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0
               ? std::string_view{}
               : std::string_view{mnl_attr_get_str(attribute)};
}

std::uint64_t number_of(const nlattr* attribute) {
    return attribute == nullptr || mnl_attr_validate(attribute, MNL_TYPE_U64) < 0
               ? 0
               : be64toh(mnl_attr_get_u64(attribute));
}

int keep_generation(const nlmsghdr* message, void* into) {
    Attributes<NFTA_GEN_MAX + 1> table{};
    mnl_attr_parse(message, sizeof(nfgenmsg), keep_attribute<NFTA_GEN_MAX + 1>, &table);
    const nlattr* const id = table[NFTA_GEN_ID];
    if (id != nullptr && mnl_attr_validate(id, MNL_TYPE_U32) >= 0) {
        *static_cast<std::optional<std::uint32_t>*>(into) = be32toh(mnl_attr_get_u32(id));
    }
    return MNL_CB_OK;
}

int keep_counter(const nlmsghdr* message, void* into) {
    Attributes<NFTA_OBJ_MAX + 1> object{};
    mnl_attr_parse(message, sizeof(nfgenmsg), keep_attribute<NFTA_OBJ_MAX + 1>, &object);
    if (object[NFTA_OBJ_DATA] == nullptr) {
        return MNL_CB_OK;
    }
    Attributes<NFTA_COUNTER_MAX + 1> data{};
    mnl_attr_parse_nested(object[NFTA_OBJ_DATA], keep_attribute<NFTA_COUNTER_MAX + 1>, &data);
    static_cast<std::vector<NftablesCounter>*>(into)->push_back(
        {std::string{text_of(object[NFTA_OBJ_NAME])},
         number_of(data[NFTA_COUNTER_PACKETS]),
         number_of(data[NFTA_COUNTER_BYTES])});
    return MNL_CB_OK;
}

} // namespace

void NftablesQuery::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

NftablesQuery::NftablesQuery()
    : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) {
    if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
        throw_errno("cannot ask nftables: is nf_tables in the kernel?");
    }
}

NftablesQuery::NftablesQuery(NftablesQuery&&) noexcept = default;
NftablesQuery& NftablesQuery::operator=(NftablesQuery&&) noexcept = default;
NftablesQuery::~NftablesQuery() = default;

/** Feeds the answers to `collect`; 0 or an errno value. */
int NftablesQuery::ask(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into) {
    message->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
        return errno;
    }
    std::vector<std::uint8_t> buffer(32768);
    while (true) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno != EINTR) {
            return errno;
        }
        if (got < 0) {
            continue;
        }
        if (reinterpret_cast<const nlmsghdr*>(buffer.data())->nlmsg_seq != sequence_) {
            continue; // the rest of a dump that was given up
        }
        const int verdict = mnl_cb_run(buffer.data(),
                                       static_cast<std::size_t>(got),
                                       sequence_,
                                       mnl_socket_get_portid(socket_.get()),
                                       collect,
                                       into);
        if (verdict <= MNL_CB_STOP) {
            return verdict < 0 ? errno : 0;
        }
    }
}

std::uint32_t NftablesQuery::generation() {
    std::array<std::uint8_t, 256> buffer{};
    std::optional<std::uint32_t> out;
    const int error =
        ask(put_request(buffer.data(), NFT_MSG_GETGEN, NLM_F_ACK), keep_generation, &out);
    if (error != 0 || !out) {
        throw_error(error != 0 ? error : EPROTO, "cannot read the generation of nftables");
    }
    return *out;
}

std::vector<NftablesCounter> NftablesQuery::counters(const std::string& table) {
    std::vector<NftablesCounter> out;
    int error = EINTR;
    for (int attempt = 0; error == EINTR && attempt < kAttempts; ++attempt) {
        std::array<std::uint8_t, 512> buffer{};
        nlmsghdr* const message = put_request(buffer.data(), NFT_MSG_GETOBJ, NLM_F_DUMP);
        if (!mnl_attr_put_strz_check(message, buffer.size(), NFTA_OBJ_TABLE, table.c_str())) {
            throw_sentence(EINVAL, "the name of an nftables table is too long");
        }
        mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
        out.clear();
        error = ask(message, keep_counter, &out);
    }
    if (error != 0) {
        throw_error(error, "cannot read the counters of the nftables tables '" + table + "'");
    }
    return out;
}

} // namespace weave::os
