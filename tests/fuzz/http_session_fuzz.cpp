// The request loop on a stream in memory: bytes of a peer, in pieces of any size, to a socket that takes any amount.
// The first byte says how much is read at once, the second how much is taken.
#include <cstdlib>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include "agent/sdk/result.cpp"
#include "agent/sdk/strings.cpp"
#include "plugins/metadata/http.cpp"
#include "plugins/metadata/http_session.hpp"
#include "plugins/metadata/open_file.cpp"
#include "plugins/metadata/outgoing.cpp"
#include "plugins/metadata/request_parser.cpp"

namespace {

using namespace nett;
using namespace nett::metadata;

class PiecewiseStream {
public:
    PiecewiseStream(std::string_view input, std::size_t read, std::size_t room)
        : input_(input), read_(read + 1), room_(room + 1) {}

    Attempt try_read(char* data, std::size_t size) {
        if (input_.empty()) return {0, Want::kNothing, asio::error::eof};
        if (!std::exchange(ready_, false)) return {0, Want::kRead};
        const auto count = std::min({size, input_.size(), read_});
        input_.copy(data, count);
        input_.remove_prefix(count);
        return {count};
    }
    Attempt try_write(const char* data, std::size_t size) {
        const auto count = std::min(size, room_);
        output.append(data, count);
        return {count, count < size ? Want::kWrite : Want::kNothing};
    }
    bool has_pending() const { return false; }
    Awaitable<bool> ready(Want want) {
        if (want == Want::kRead) ready_ = true;
        co_return true;
    }
    std::string output;

private:
    std::string_view input_;
    const std::size_t read_;
    const std::size_t room_;
    bool ready_ = false;
};

Awaitable<Response> echo(Request request, const Peer&, Conversation&) {
    Response response = plain(200, Outcome::kNetboot, request.target);
    co_return response;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    asio::io_context context;
    ManualClock clock;
    Counters counters;
    const RequestHandler handler = echo;
    HttpSession session{handler, clock, counters};
    PiecewiseStream stream({reinterpret_cast<const char*>(data) + 2, size - 2}, data[0], data[1]);
    bool ended = false;
    asio::co_spawn(context, serve_requests(stream, session), [&](std::exception_ptr failure, SessionEnd) {
        if (failure) std::abort();
        ended = true;
    });
    context.run();
    // It ends, and says nothing or speaks HTTP.
    if (!ended) std::abort();
    if (!stream.output.empty() && !stream.output.starts_with("HTTP/1.1 ")) std::abort();
    return 0;
}
