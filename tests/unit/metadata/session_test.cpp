// The request loop on a stream in memory: literal bytes in, literal bytes out.
#include "plugins/metadata/http_session.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>

#include "plugins/metadata/ranges.hpp"
#include "tests/unit/metadata/fake_peers.hpp"

namespace nett::metadata {
namespace {

using TestStream = boost::beast::test::stream;

// TlsStream's attempts on a stream in memory. Takes at most `room` bytes before it wants to be waited for, as a socket.
class MemoryStream {
public:
    explicit MemoryStream(asio::io_context& context) : stream_(context) {}
    TestStream& end() { return stream_; }
    std::size_t room = SIZE_MAX;
    int waits_for_room = 0;

    Attempt try_read(char* data, std::size_t size) {
        if (received_.empty()) return ended_ ? Attempt{0, Want::kNothing, ended_} : Attempt{0, Want::kRead};
        const auto count = std::min(size, received_.size());
        std::copy_n(received_.begin(), count, data);
        received_.erase(0, count);
        return {count};
    }
    Attempt try_write(const char* data, std::size_t size) {
        const auto count = std::min(size, taken_ < room ? room - taken_ : 0);
        boost::system::error_code error;
        if (count > 0) stream_.write_some(asio::buffer(data, count), error);
        taken_ += count;
        return {count, count < size ? Want::kWrite : Want::kNothing, error};
    }
    bool has_pending() const { return !received_.empty(); }
    Awaitable<bool> ready(Want want) {
        if (want == Want::kWrite) {
            ++waits_for_room;
            taken_ = 0;
            co_await asio::post(asio::use_awaitable);
            co_return true;
        }
        std::string bytes(4096, '\0');
        const auto buffer = asio::buffer(bytes);
        auto [error, count] = co_await stream_.async_read_some(buffer, asio::as_tuple(asio::use_awaitable));
        received_.append(bytes, 0, count);
        ended_ = error;
        co_return true;
    }

private:
    TestStream stream_;
    std::string received_;
    boost::system::error_code ended_;
    std::size_t taken_ = 0;
};

const std::string kDate = "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n";
const std::string kNotFound = "HTTP/1.1 404 Not Found\r\n" + kDate +
                              "Content-Length: 10\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Cache-Control: no-store\r\n";

class SessionTest : public testing::Test {
protected:
    // What the server writes when a client sends `bytes` and then closes its side.
    std::string answer(std::string_view bytes) {
        MemoryStream server(context_);
        server.room = room_;
        TestStream client(context_);
        server.end().connect(client);
        client.write_some(boost::asio::buffer(bytes));
        client.close();
        end_.reset();
        asio::co_spawn(context_, serve_requests(server, session_), [&](std::exception_ptr failure, SessionEnd end) {
            EXPECT_FALSE(failure);
            end_ = end;
        });
        context_.restart();
        context_.run();
        EXPECT_TRUE(end_.has_value());
        waits_for_room_ = server.waits_for_room;
        return std::string(client.str());
    }

    Awaitable<Response> respond(Request request, const Peer&, Conversation&) {
        if (request.target == "/file") co_return file_response();
        if (request.target == "/parts") co_return parts_response();
        auto response = plain(404, Outcome::kNotFound, "not found");
        co_return response;
    }
    static Response file_response() {
        const std::string path = testing::TempDir() + "session_test_file";
        std::ofstream(path) << std::string(kFileBufferBytes + 10, 'x');
        Response response;
        response.outcome = Outcome::kArtifact;
        response.file = OpenFile::open(path, kFileBufferBytes + 10).value();
        response.file_size = kFileBufferBytes + 10;
        return response;
    }

    Response parts_response() {
        auto response = file_response();
        response.status = 206;
        response.parts = {{"--x\r\n\r\n", {0, 2}}, {"\r\n--x\r\n\r\n", {5, 1}}};
        response.end = "\r\n--x--\r\n";
        response.on_sent = [this](ByteRange part) { sent_.push_back(part); };
        return response;
    }

    asio::io_context context_;
    std::size_t room_ = SIZE_MAX;
    int waits_for_room_ = 0;
    std::optional<SessionEnd> end_;
    ManualClock clock_;
    Counters counters_;
    std::vector<ByteRange> sent_;
    RequestHandler handler_ = [this](Request request, const Peer& peer, Conversation& conversation) {
        return respond(std::move(request), peer, conversation);
    };
    HttpSession session_{handler_, clock_, counters_};
};

TEST_F(SessionTest, KeepsTheConnectionForOneRequestAfterAnother) {
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
              kNotFound + "Connection: keep-alive\r\n\r\nnot found\n" + kNotFound +
                  "Connection: keep-alive\r\n\r\nnot found\n");
    EXPECT_EQ(counters_.outcomes[static_cast<std::size_t>(Outcome::kNotFound)], 2U);
}

TEST_F(SessionTest, ClosesWhenAskedTo) {
    const std::string closing = kNotFound + "Connection: close\r\n\r\nnot found\n";
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\n\r\n"), closing);
    EXPECT_EQ(answer("GET /a HTTP/1.0\r\n\r\n"), closing);
}

TEST_F(SessionTest, AnswersHeadWithoutABody) {
    EXPECT_EQ(answer("HEAD /a HTTP/1.1\r\n\r\n"), kNotFound + "Connection: keep-alive\r\n\r\n");
}

TEST_F(SessionTest, StreamsAFileLargerThanItsBuffer) {
    const auto bytes = answer("GET /file HTTP/1.1\r\n\r\n");
    const auto body = bytes.substr(bytes.find("\r\n\r\n") + 4);
    EXPECT_EQ(body, std::string(kFileBufferBytes + 10, 'x'));
    EXPECT_EQ(counters_.bytes_sent, bytes.size());
    EXPECT_EQ(answer("HEAD /file HTTP/1.1\r\n\r\n"), bytes.substr(0, bytes.size() - body.size()));
}

TEST_F(SessionTest, SendsAFileWhileItComesIn) {
    const auto whole = answer("GET /file HTTP/1.1\r\n\r\n");
    const auto size = kFileBufferBytes + 10;
    const auto arriving = std::make_shared<test::FakeArriving>(std::string(size, 'x'), 1000);
    handler_ = [&](Request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = file_response();
        response.file = OpenFile::arriving(arriving);
        co_return response;
    };
    EXPECT_EQ(answer("GET /file HTTP/1.1\r\n\r\n"), whole);
    EXPECT_EQ(arriving->waits, static_cast<int>(size / 1000 + 1));
    EXPECT_EQ(end_, SessionEnd::kOrderly);
}

TEST_F(SessionTest, WaitsForThePlaceOfAFileThatIsAskedFor) {
    const auto arriving = std::make_shared<test::FakeArriving>("0123456789", 4);
    handler_ = [&](Request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = plain(206, Outcome::kArtifact, "");
        response.file = OpenFile::arriving(arriving);
        response.file_size = 10;
        response.window = ByteRange{6, 3};
        co_return response;
    };
    EXPECT_TRUE(answer("GET /file HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n678"));
    EXPECT_EQ(arriving->waits, 3);
}

TEST_F(SessionTest, BreaksOffWhenTheRestOfAFileDoesNotCome) {
    handler_ = [](Request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = file_response();
        response.file = OpenFile::arriving(
            std::make_shared<test::FakeArriving>(std::string(kFileBufferBytes + 10, 'x'), 1000, 3000));
        co_return response;
    };
    const auto bytes = answer("GET /file HTTP/1.1\r\n\r\n");
    EXPECT_EQ(bytes.size() - (bytes.find("\r\n\r\n") + 4), 3000U);
    EXPECT_EQ(end_, SessionEnd::kBroken);
}

TEST_F(SessionTest, SendsTheRangesOfAFileAsMultipart) {
    handler_ = [](Request request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = file_response();
        response.content_type = "application/octet-stream";
        response.etag = "feed";
        response.accept_ranges = true;
        co_return conditional(std::move(response), request);
    };
    const std::string parts =
        "\r\n--feed\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 1-3/65546\r\n\r\nxxx"
        "\r\n--feed\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 65544-65545/65546\r\n\r\nxx"
        "\r\n--feed--\r\n";
    EXPECT_EQ(answer("GET /file HTTP/1.1\r\nRange: bytes=1-3, -2\r\n\r\n"),
              "HTTP/1.1 206 Partial Content\r\n" + kDate + "Content-Length: " + std::to_string(parts.size()) +
                  "\r\nContent-Type: multipart/byteranges; boundary=feed\r\nETag: \"feed\"\r\nAccept-Ranges: bytes\r\n"
                  "Connection: keep-alive\r\n\r\n" +
                  parts);
    EXPECT_EQ(answer("GET /file HTTP/1.1\r\nRange: bytes=1-3\r\nIf-Match: \"other\"\r\n\r\n"),
              "HTTP/1.1 412 Precondition Failed\r\n" + kDate +
                  "Content-Length: 20\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
                  "Connection: keep-alive\r\n\r\nit has another ETag\n");
    const auto head = answer("HEAD /file HTTP/1.1\r\nRange: bytes=1-3\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
}

// The announced length cannot be kept: the connection ends instead of handing out other bytes than were verified.
TEST_F(SessionTest, BreaksOffWhenTheFileIsWrittenToMeanwhile) {
    handler_ = [](Request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = file_response();
        response.on_sent = [](ByteRange) {
            const std::string path = testing::TempDir() + "session_test_file";
            std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
        };
        co_return response;
    };
    const auto bytes = answer("GET /file HTTP/1.1\r\n\r\n");
    EXPECT_EQ(bytes.size(), kFileBufferBytes);  // what was made before the first of it was sent
}

TEST_F(SessionTest, TellsWhatWasSentOfAFile) {
    std::vector<ByteRange> sent;
    handler_ = [&](Request, const Peer&, Conversation&) -> Awaitable<Response> {
        auto response = file_response();
        response.status = 206;
        response.window = ByteRange{5, kFileBufferBytes + 1};
        response.on_sent = [&](ByteRange part) { sent.push_back(part); };
        co_return response;
    };
    const auto head = answer("HEAD /file HTTP/1.1\r\n\r\n");
    const auto first = kFileBufferBytes - head.size();  // they share the first buffer
    answer("GET /file HTTP/1.1\r\n\r\n");
    EXPECT_EQ(sent, (std::vector<ByteRange>{{5, first}, {5 + first, kFileBufferBytes + 1 - first}}));
    sent.clear();
    answer("HEAD /file HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(sent.empty());
}

TEST_F(SessionTest, GoesOnWhereASlowReaderLeftOff) {
    const auto whole = answer("GET /file HTTP/1.1\r\n\r\n");
    room_ = 1000;  // less than the head and a bit at first, then a bit of the file each time
    EXPECT_EQ(answer("GET /file HTTP/1.1\r\n\r\n"), whole);
    EXPECT_GT(waits_for_room_, 60);
    EXPECT_EQ(end_, SessionEnd::kOrderly);
}

TEST_F(SessionTest, SendsSeveralPartsOfAFileBetweenTheirTexts) {
    const std::string body = "--x\r\n\r\nxx\r\n--x\r\n\r\nx\r\n--x--\r\n";
    for (const std::size_t room : {SIZE_MAX, std::size_t{1}}) {
        room_ = room;
        const auto bytes = answer("GET /parts HTTP/1.1\r\n\r\n");
        EXPECT_NE(bytes.find(fmt::format("Content-Length: {}\r\n", body.size())), std::string::npos) << bytes;
        EXPECT_TRUE(bytes.ends_with("\r\n\r\n" + body)) << bytes;
        std::vector<ByteRange> sent{{0, 2}, {5, 1}};
        if (room == 1) sent = {{0, 1}, {1, 1}, {5, 1}};
        EXPECT_EQ(std::exchange(sent_, {}), sent);
    }
}

TEST_F(SessionTest, BreaksOffWhenTheFileIsShorterThanAnnounced) {
    Response response = file_response();
    const Outgoing outgoing(response, false, true, clock_.system_now());
    std::filesystem::resize_file(testing::TempDir() + "session_test_file", 1);
    std::string buffer(outgoing.size(), '\0');
    const auto head = outgoing.size() - response.file_size;
    EXPECT_EQ(outgoing.fill(0, buffer.data(), head).value(), head);
    EXPECT_FALSE(outgoing.fill(head, buffer.data(), buffer.size()));
}

TEST_F(SessionTest, EndsWithoutAReadWhenTheServerStops) {
    session_.stopping = true;
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\n\r\n"), "");
    EXPECT_EQ(end_, SessionEnd::kOrderly);
}

TEST_F(SessionTest, TheLastRequestIsAnsweredAndNoneAfterIt) {
    session_.last = true;
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
              kNotFound + "Connection: close\r\n\r\nnot found\n");
    EXPECT_EQ(end_, SessionEnd::kRefused);
    session_.answered = true;
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\n\r\n"), "");
    EXPECT_EQ(end_, SessionEnd::kOrderly);
}

TEST_F(SessionTest, ReadsARequestThatDripsInUnderOneDeadline) {
    std::string drip = "GET /a HTTP/1.1\r\nX: y\r\n\r\n";
    MemoryStream server(context_);
    TestStream client(context_);
    server.end().connect(client);
    asio::co_spawn(context_, serve_requests(server, session_), [&](std::exception_ptr, SessionEnd end) { end_ = end; });
    context_.poll();
    const auto deadline = session_.deadline.load();
    for (const char c : drip) {
        EXPECT_EQ(session_.deadline, deadline);
        clock_.advance(std::chrono::milliseconds(1));
        client.write_some(asio::buffer(&c, 1));
        context_.restart();
        context_.poll();
    }
    EXPECT_NE(session_.deadline, deadline);  // the next request has a deadline of its own
    EXPECT_TRUE(client.str().starts_with("HTTP/1.1 404"));
    client.close();
    context_.restart();
    context_.run();
}

TEST_F(SessionTest, ShedsLoadWithRetryAfter) {
    session_.shed = true;
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
              "HTTP/1.1 503 Service Unavailable\r\n" + kDate +
                  "Content-Length: 21\r\n"
                  "Content-Type: text/plain; charset=utf-8\r\n"
                  "Retry-After: 3\r\n"
                  "Cache-Control: no-store\r\n"
                  "Connection: close\r\n\r\n"
                  "too many connections\n");
}

TEST_F(SessionTest, RefusesBodiesLongHeadersAndNoise) {
    const auto status = [&](std::string_view bytes) { return answer(bytes).substr(0, 12); };
    EXPECT_EQ(status("GET /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), "HTTP/1.1 413");
    EXPECT_EQ(status("GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "HTTP/1.1 413");
    EXPECT_EQ(status("GET /a HTTP/1.1\r\nX: " + std::string(kMaxHeaderBytes, 'x') + "\r\n\r\n"), "HTTP/1.1 431");
    EXPECT_EQ(status("GET /" + std::string(4 * kMaxHeaderBytes, 'x') + " HTTP/1.1\r\n\r\n"), "HTTP/1.1 431");
    EXPECT_EQ(status("nonsense\r\n\r\n"), "HTTP/1.1 400");
    EXPECT_EQ(status("GET /a HTTP/2.0\r\n\r\n"), "HTTP/1.1 400");
    EXPECT_EQ(status(std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)), "HTTP/1.1 400");
    EXPECT_EQ(answer(""), "");
    EXPECT_EQ(answer("GET /a HTTP/1.1\r\nX: half"), "");
}

}  // namespace
}  // namespace nett::metadata
