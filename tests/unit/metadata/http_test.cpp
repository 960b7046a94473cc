#include "plugins/metadata/http.hpp"

#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace nett::metadata {
namespace {

const std::string kDigest(64, 'a');

SystemTime moment() {
    return ManualClock().system_now();  // 2023-11-14 23:13:20 UTC
}

TEST(Head, IsTheseBytesForAScript) {
    Response response;
    response.content_type = "text/plain; charset=utf-8";
    response.body = "#!ipxe\n";
    response.no_store = true;
    EXPECT_EQ(render_head(response, true, moment()),
              "HTTP/1.1 200 OK\r\n"
              "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n"
              "Content-Length: 7\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Cache-Control: no-store\r\n"
              "Connection: keep-alive\r\n\r\n");
}

TEST(Head, NamesTheWindowOfAFile) {
    const std::string path = testing::TempDir() + "http_test_file";
    std::ofstream(path) << "0123456789";
    auto file = OpenFile::open(path, 10);
    ASSERT_TRUE(file);
    Response response;
    response.status = 206;
    response.file = *file;
    response.file_size = 10;
    response.window = ByteRange{2, 4};
    response.etag = kDigest;
    response.accept_ranges = true;
    EXPECT_EQ(render_head(response, false, moment()),
              "HTTP/1.1 206 Partial Content\r\n"
              "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\n"
              "Content-Length: 4\r\n"
              "ETag: \"" +
                  kDigest +
                  "\"\r\n"
                  "Accept-Ranges: bytes\r\n"
                  "Content-Range: bytes 2-5/10\r\n"
                  "Connection: close\r\n\r\n");
    EXPECT_EQ(OpenFile::open(path, 11).error().code, Code::kDataLoss);
    EXPECT_EQ(OpenFile::open(path + "-absent", 10).error().code, Code::kNotFound);
    EXPECT_EQ(OpenFile::open(testing::TempDir(), 10).error().code, Code::kDataLoss);
    std::remove(path.c_str());
}

TEST(Head, TellsIpxeWhenToComeBack) {
    const auto head = render_head(plain(503, Outcome::kShed, "busy"), false, moment());
    EXPECT_NE(head.find("HTTP/1.1 503 Service Unavailable\r\n"), std::string::npos);
    EXPECT_NE(head.find("Retry-After: 3\r\n"), std::string::npos);
}

}  // namespace
}  // namespace nett::metadata
