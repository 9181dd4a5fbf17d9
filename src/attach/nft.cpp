// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
#include "attach/nft.hpp"

#include "os/error.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include <nftables/libnftables.h>

namespace weave::attach {
namespace {

/** "<cmdline>:1:5-9: Error: REASON", then the place in the commands: the reason alone. */
std::string reason_of(std::string_view text) {
    constexpr std::string_view kMark = "Error: ";
    if (const auto mark = text.find(kMark); mark != std::string_view::npos) {
        text.remove_prefix(mark + kMark.size());
    }
    return std::string{text.substr(0, text.find('\n'))};
}

/** The library tells the errno value in words only. */
int error_of(std::string_view reason) {
    if (reason.find("not permitted") != std::string_view::npos) {
        return EPERM;
    }
    return reason.find("No such file") != std::string_view::npos ? ENOENT : EIO;
}

} // namespace

void Nft::Free::operator()(nft_ctx* context) const {
    ::nft_ctx_free(context);
}

Nft::Nft(os::NftablesMonitor& monitor)
    : monitor_(monitor)
    , context_(::nft_ctx_new(NFT_CTX_DEFAULT)) {
    if (!context_ || ::nft_ctx_buffer_output(context_.get()) != 0 ||
        ::nft_ctx_buffer_error(context_.get()) != 0) {
        os::throw_sentence(ENOMEM, "cannot start libnftables");
    }
}

const char* Nft::execute(const std::string& commands, const std::string& what, unsigned flags) {
    ::nft_ctx_output_set_flags(context_.get(), flags);
    const int result = ::nft_run_cmd_from_buffer(context_.get(), commands.c_str());
    // Reading a buffer empties it: both, or the next call would see what is left of this one.
    const char* const output = ::nft_ctx_get_output_buffer(context_.get());
    const char* const error = ::nft_ctx_get_error_buffer(context_.get());
    if (result != 0) {
        const std::string reason = reason_of(error == nullptr ? "" : error);
        os::throw_sentence(error_of(reason), "cannot " + what + ": " + reason);
    }
    return output == nullptr ? "" : output;
}

void Nft::run(const std::string& commands, const std::string& what) {
    const std::uint32_t before = query_.generation();
    execute(commands, what, 0);
    // One more is ours. When others changed something meanwhile, nobody knows which is.
    if (const std::uint32_t after = query_.generation(); after == before + 1) {
        monitor_.ignore(after);
    }
}

std::vector<os::NftablesCounter> Nft::counters(const std::string& table) {
    return query_.counters(table);
}

std::string Nft::list(const std::string& commands, const std::string& what) {
    return execute(commands, what, NFT_CTX_OUTPUT_STATELESS);
}

nlohmann::json Nft::list_json(const std::string& commands, const std::string& what) {
    const auto answer = nlohmann::json::parse(
        execute(commands, what, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PRIO), nullptr, false);
    const auto list = answer.is_object() ? answer.find("nftables") : answer.end();
    if (!answer.is_object() || list == answer.end() || !list->is_array()) {
        os::throw_sentence(EPROTO, "cannot " + what + ": libnftables gave no answer in JSON");
    }
    return *list;
}

} // namespace weave::attach
