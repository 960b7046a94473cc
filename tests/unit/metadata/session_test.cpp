// The request loop on a stream in memory: literal bytes in, literal bytes out.
#include "plugins/metadata/http_session.hpp"

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/_experimental/test/stream.hpp>

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
