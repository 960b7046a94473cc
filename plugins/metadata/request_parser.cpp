#include "plugins/metadata/request_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

namespace http = boost::beast::http;
using RequestParser = http::request_parser<http::empty_body>;

Request request_of(const RequestParser& parser) {
    const auto& message = parser.get();
    const auto field = [&](http::field name) {
        const auto value = message[name];
        return std::string(value.data(), value.size());
    };
    Request request;
    request.method = message.method() == http::verb::get    ? Method::kGet
                     : message.method() == http::verb::head ? Method::kHead
                                                            : Method::kOther;
    const auto target = message.target();
    request.target.assign(target.data(), target.size());
    request.if_match = field(http::field::if_match);
    request.if_none_match = field(http::field::if_none_match);
    request.if_range = field(http::field::if_range);
    request.range = field(http::field::range);
    return request;
}

bool has_body(const RequestParser& parser) {
    const auto length = parser.content_length();
    return parser.chunked() || (length && *length > 0);
}

ParsedHead refused(unsigned status, std::string text) {
    ParsedHead head;
    head.kind = ParsedHead::Kind::kRefused;
    head.refusal = plain(status, Outcome::kBadRequest, std::move(text));
    return head;
}

}  // namespace

ParsedHead parse_head(std::string_view bytes) {
    RequestParser parser;
    parser.header_limit(kMaxHeaderBytes);
    boost::system::error_code error;
    const auto consumed = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (error == http::error::need_more) return {};
    if (error == http::error::header_limit) return refused(431, "header too large");
    if (error) return refused(400, "bad request");
    if (!parser.is_header_done()) return {};
    if (has_body(parser)) return refused(413, "no request bodies");
    ParsedHead head;
    head.kind = ParsedHead::Kind::kRequest;
    head.bytes = consumed;
    head.request = request_of(parser);
    head.keep_alive = parser.get().keep_alive();
    return head;
}

}  // namespace nett::metadata
