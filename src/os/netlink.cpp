// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "os/netlink.hpp"

#include "os/netlink_request.hpp"
#include "os/netns.hpp"

#include <cstring>

#include <linux/if.h>
#include <linux/veth.h>

namespace weave::os {
namespace {

ifinfomsg link_message(unsigned index = 0) {
    ifinfomsg out{};
    out.ifi_family = AF_UNSPEC;
    out.ifi_index = static_cast<int>(index);
    return out;
}

std::string kind_of(const nlattr* info) {
    Attributes<IFLA_INFO_MAX + 1> table{};
    if (info != nullptr) {
        mnl_attr_parse_nested(info, keep_attribute<IFLA_INFO_MAX + 1>, &table);
    }
    return text_of(table[IFLA_INFO_KIND]);
}

bool has_xdp(const nlattr* xdp) {
    Attributes<IFLA_XDP_MAX + 1> table{};
    if (xdp != nullptr) {
        mnl_attr_parse_nested(xdp, keep_attribute<IFLA_XDP_MAX + 1>, &table);
    }
    return u8_of(table[IFLA_XDP_ATTACHED]) != XDP_ATTACHED_NONE;
}

bool parse_link(const nlmsghdr* message, Link& out) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    const auto table = attributes_of<IFLA_MAX + 1>(message, sizeof *info);
    out.index = static_cast<unsigned>(info->ifi_index);
    out.up = (info->ifi_flags & IFF_UP) != 0;
    out.name = text_of(table[IFLA_IFNAME]);
    out.alias = text_of(table[IFLA_IFALIAS]);
    out.kind = kind_of(table[IFLA_LINKINFO]);
    out.mtu = u32_of(table[IFLA_MTU]);
    out.master = u32_of(table[IFLA_MASTER]);
    out.peer_index = u32_of(table[IFLA_LINK]);
    out.peer_netns_id = static_cast<int>(u32_of(table[IFLA_LINK_NETNSID], ~0u));
    out.carrier = u8_of(table[IFLA_CARRIER]) != 0;
    out.sends = out.up && u8_of(table[IFLA_OPERSTATE]) == IF_OPER_UP; // RFC 2863
    out.mac = mac_of(table[IFLA_ADDRESS]);
    out.xdp = has_xdp(table[IFLA_XDP]);
    return true;
}

void put_bridge_data(nlmsghdr* message) {
    nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_str(message, IFLA_INFO_KIND, "bridge");
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u32(message, IFLA_BR_FORWARD_DELAY, 0);
    mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
}

/** What a dump that was cut short says at its end, as of a namespace that is going; libmnl does not
 * look at it. */
int done_error(const nlmsghdr* done) {
    std::int32_t code = 0;
    if (mnl_nlmsg_get_payload_len(done) >= sizeof(code)) {
        std::memcpy(&code, mnl_nlmsg_get_payload(done), sizeof(code));
    }
    return code < 0 ? -code : 0;
}

} // namespace

void Netlink::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

Netlink::Netlink(std::unique_ptr<mnl_socket, Close> socket)
    : socket_(std::move(socket)) {}

Netlink::Netlink(Netlink&&) noexcept = default;
Netlink& Netlink::operator=(Netlink&&) noexcept = default;
Netlink::~Netlink() = default;

Netlink Netlink::open() {
    std::unique_ptr<mnl_socket, Close> socket{mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)};
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
        throw_errno("cannot open a rtnetlink socket");
    }
    // Strict checking makes dumps heed the namespace they are asked for; all our kernels have it.
    int on = 1;
    mnl_socket_setsockopt(socket.get(), NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return Netlink{std::move(socket)};
}

Netlink Netlink::open_in(int netns_fd) {
    std::optional<Netlink> out;
    run_in_netns(netns_fd, [&] { out = open(); });
    return std::move(*out);
}

int Netlink::transact(nlmsghdr* message) {
    message->nlmsg_flags |= NLM_F_ACK;
    return run_get(message, nullptr, nullptr);
}

int Netlink::run_dump(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into) {
    message->nlmsg_flags |= NLM_F_DUMP;
    message->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
        return errno;
    }
    std::vector<std::uint8_t> buffer(32768);
    bool interrupted = false;
    int failure = 0;
    int verdict = MNL_CB_OK;
    while (verdict > MNL_CB_STOP) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0) {
            return errno;
        }
        // libmnl gives up at the first mark of an interrupted dump. The marks are taken off so that
        // the dump is read to its end: nothing stale may wait for the next request.
        int left = static_cast<int>(got);
        for (auto* part = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(part, left);
             part = mnl_nlmsg_next(part, &left)) {
            interrupted |= (part->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            part->nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_DUMP_INTR);
            failure = part->nlmsg_type == NLMSG_DONE ? done_error(part) : failure;
        }
        verdict = mnl_cb_run(buffer.data(),
                             static_cast<std::size_t>(got),
                             sequence_,
                             mnl_socket_get_portid(socket_.get()),
                             collect,
                             into);
    }
    return verdict < 0 ? errno : failure != 0 ? failure : interrupted ? EINTR : 0;
}

int Netlink::run_get(nlmsghdr* message, int (*collect)(const nlmsghdr*, void*), void* into) {
    message->nlmsg_seq = ++sequence_;
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
        return errno;
    }
    alignas(8) std::array<std::uint8_t, 8192> buffer;
    while (true) {
        const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        const int verdict = mnl_cb_run(buffer.data(),
                                       static_cast<std::size_t>(got),
                                       sequence_,
                                       mnl_socket_get_portid(socket_.get()),
                                       collect,
                                       into);
        if (verdict < 0 && (errno == ESRCH || errno == EPROTO)) {
            // ESRCH may be the kernel's answer, or libmnl's word for a message that is not for us.
            const auto* reply = reinterpret_cast<const nlmsghdr*>(buffer.data());
            if (reply->nlmsg_seq != sequence_) {
                continue;
            }
        }
        if (verdict <= MNL_CB_STOP) {
            return verdict < 0 ? errno : 0;
        }
    }
}

void Netlink::create_bridge(const BridgeSpec& spec) {
    Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_message()};
    mnl_attr_put_strz(request.get(), IFLA_IFNAME, spec.name.c_str());
    mnl_attr_put_u32(request.get(), IFLA_MTU, spec.mtu);
    put_mac(request.get(), spec.mac);
    put_bridge_data(request.get());
    if (const int error = transact(request.get())) {
        throw_error(error, "cannot create bridge " + spec.name);
    }
}

void Netlink::configure_bridge(const Link& bridge) {
    change_link(bridge, "configure bridge", put_bridge_data);
}

void Netlink::create_veth(const VethSpec& spec) {
    Request request{RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_message()};
    nlmsghdr* message = request.get();
    mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
    mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
    put_mac(message, spec.mac);
    nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_str(message, IFLA_INFO_KIND, "veth");
    nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
    mnl_attr_put_strz(message, IFLA_IFNAME, spec.peer_name.c_str());
    mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
    put_mac(message, spec.peer_mac);
    if (spec.peer_netns_fd >= 0) {
        mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_netns_fd));
    }
    mnl_attr_nest_end(message, peer);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, info);
    if (const int error = transact(message)) {
        throw_error(error, "cannot create veth " + spec.name);
    }
}

void Netlink::delete_link(const Link& link) {
    Request request{RTM_DELLINK, 0, link_message(link.index)};
    const int error = transact(request.get());
    if (error != 0 && error != ENODEV) {
        throw_error(error, "cannot delete " + link.name);
    }
}

void Netlink::change_link(const Link& link,
                          const std::string& what,
                          const std::function<void(nlmsghdr*)>& fill) {
    Request request{RTM_NEWLINK, 0, link_message(link.index)};
    fill(request.get());
    if (const int error = transact(request.get())) {
        throw_error(error, "cannot " + what + ' ' + link.name);
    }
}

void Netlink::set_up(const Link& link, bool up) {
    ifinfomsg info = link_message(link.index);
    info.ifi_change = IFF_UP;
    info.ifi_flags = up ? IFF_UP : 0;
    Request request{RTM_NEWLINK, 0, info};
    if (const int error = transact(request.get())) {
        throw_error(error, (up ? "cannot set up " : "cannot set down ") + link.name);
    }
}

void Netlink::set_mtu(const Link& link, unsigned mtu) {
    change_link(link, "set MTU " + std::to_string(mtu) + " on", [&](nlmsghdr* message) {
        mnl_attr_put_u32(message, IFLA_MTU, mtu);
    });
}

void Netlink::set_mac(const Link& link, const MacAddress& mac) {
    change_link(link, "set MAC address " + mac.text() + " on", [&](nlmsghdr* message) {
        put_mac(message, mac);
    });
}

void Netlink::set_master(const Link& link, unsigned master_index) {
    change_link(link, "change the bridge of", [&](nlmsghdr* message) {
        mnl_attr_put_u32(message, IFLA_MASTER, master_index);
    });
}

void Netlink::set_alias(const Link& link, const std::string& alias) {
    change_link(link, "label", [&](nlmsghdr* message) {
        mnl_attr_put_str(message, IFLA_IFALIAS, alias.c_str());
    });
}

std::vector<Link> Netlink::links(int netns_id) {
    Request request{RTM_GETLINK, 0, link_message()};
    if (netns_id >= 0) {
        mnl_attr_put_u32(request.get(), IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(netns_id));
    }
    return dump<Link>(request.get(), "network interfaces", parse_link);
}

std::optional<Link> Netlink::ask_link(nlmsghdr* message) {
    const auto collect = [](const nlmsghdr* answer, void* into) -> int {
        parse_link(answer, *static_cast<Link*>(into));
        return MNL_CB_STOP;
    };
    Link out;
    const int error = run_get(message, collect, &out);
    if (error != 0 && error != ENODEV) {
        throw_error(error, "cannot look at a network interface");
    }
    return error == 0 ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<Link> Netlink::link(const std::string& name) {
    if (name.empty() || name.size() >= IFNAMSIZ) {
        return std::nullopt;
    }
    Request request{RTM_GETLINK, 0, link_message()};
    mnl_attr_put_strz(request.get(), IFLA_IFNAME, name.c_str());
    auto found = ask_link(request.get());
    // The kernel knows links by their alternative names too.
    return found && found->name == name ? std::move(found) : std::nullopt;
}

std::optional<Link> Netlink::link_at(unsigned index) {
    Request request{RTM_GETLINK, 0, link_message(index)};
    return ask_link(request.get());
}

Link Netlink::require_link(const std::string& name) {
    auto found = link(name);
    if (!found) {
        throw_sentence(ENODEV, "there is no network interface " + name);
    }
    return *std::move(found);
}

} // namespace weave::os
