// The request loop on a stream in memory: literal bytes in, literal bytes out.
#include "plugins/metadata/http_session.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>

#include "plugins/metadata/ranges.hpp"

namespace nett::metadata {
namespace {

using TestStream = boost::beast::test::stream;

const std::string kDate = "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n";
const std::string kNotFound = "HTTP/1.1 404 Not Found\r\n" + kDate +
                              "Content-Length: 10\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Cache-Control: no-store\r\n";

class SessionTest : public testing::Test {
protected:
    // What the server writes when a client sends `bytes` and then closes its side.
    std::string answer(std::string_view bytes) {
        TestStream server(context_);
        TestStream client(context_);
        server.connect(client);
        client.write_some(boost::asio::buffer(bytes));
        client.close();
        std::optional<bool> orderly;
        asio::co_spawn(context_, serve_requests(server, session_), [&](std::exception_ptr failure, bool value) {
            EXPECT_FALSE(failure);
            orderly = value;
        });
        context_.restart();
        context_.run();
        EXPECT_TRUE(orderly.has_value());
        return std::string(client.str());
    }

    static Awaitable<Response> respond(Request request, const Peer&, Conversation&) {
        if (request.target == "/file") co_return file_response();
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

    asio::io_context context_;
    ManualClock clock_;
    Counters counters_;
    RequestHandler handler_ = respond;
    HttpSession session_{handler_, clock_, counters_, [](auto) {}};
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
    EXPECT_EQ(bytes.substr(bytes.find("\r\n\r\n") + 4).size(), kFileBufferBytes);
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
    answer("GET /file HTTP/1.1\r\n\r\n");
    EXPECT_EQ(sent, (std::vector<ByteRange>{{5, kFileBufferBytes}, {5 + kFileBufferBytes, 1}}));
    sent.clear();
    answer("HEAD /file HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(sent.empty());
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
