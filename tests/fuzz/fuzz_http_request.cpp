// SPDX-FileCopyrightText: weavemesh authors
// SPDX-License-Identifier: Apache-2.0
// Requests of one HTTP connection, read as the server reads them but out of memory. Input: bytes
// per read 1, then the stream.
#include "api/http_request.hpp"
#include "target.hpp"

#include <boost/beast/core/flat_buffer.hpp>

namespace weave::fuzz {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint32_t kHeaderLimit = 8192;

/** A stream that hands out at most `piece` bytes at once and then ends. */
class Chunks {
  public:
    Chunks(ByteView bytes, std::size_t piece)
        : left_(bytes)
        , piece_(std::max<std::size_t>(piece, 1)) {}

    template <class Buffers> std::size_t read_some(const Buffers& buffers, error_code& error) {
        const auto room = asio::buffer_size(buffers);
        const ByteView part = left_.first(std::min({left_.size(), piece_, room}));
        error = part.empty() && room != 0 ? make_error_code(asio::error::eof) : error_code{};
        left_ = left_.subspan(part.size());
        return asio::buffer_copy(buffers, asio::buffer(part.data(), part.size()));
    }

    template <class Buffers> std::size_t read_some(const Buffers& buffers) {
        error_code error;
        const std::size_t size = read_some(buffers, error);
        FUZZ_CHECK(!error);
        return size;
    }

  private:
    ByteView left_;
    std::size_t piece_;
};

void check(const api::HttpRequest& request) {
    if (request.refusal) {
        const unsigned status = request.refusal->status;
        FUZZ_CHECK(status == 400 || status == 405 || status == 431);
        FUZZ_CHECK(!request.refusal->body.empty());
        FUZZ_CHECK(!request.keep_alive || status == 405);
        return;
    }
    FUZZ_CHECK(request.target.starts_with('/') && request.target.size() <= kHeaderLimit);
    FUZZ_CHECK(request.target.find('?') == std::string::npos);
    FUZZ_CHECK(std::all_of(request.target.begin(), request.target.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
    }));
}

} // namespace
} // namespace weave::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weave;
    using namespace weave::fuzz;
    Input input({data, size});
    const std::size_t piece = input.u8();
    Chunks stream(input.rest(), piece == 255 ? size : piece);
    boost::beast::flat_buffer buffer(2 * std::size_t{kHeaderLimit});
    for (;;) {
        api::HttpParser parser;
        parser.header_limit(kHeaderLimit);
        error_code error;
        http::read(stream, buffer, parser, error);
        const api::HttpRequest request = api::judge_request(parser, error);
        if (request.ended) {
            return 0;
        }
        check(request);
        if (!request.keep_alive) {
            return 0;
        }
    }
}
