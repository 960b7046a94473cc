// The head of an HTTP/1.x request (RFC 9112), from bytes. Pure; Beast stays in the .cpp file.
#pragma once

#include <cstddef>
#include <string_view>

#include "plugins/metadata/http.hpp"

namespace nett::metadata {

struct ParsedHead {
    enum class Kind {
        kIncomplete,  // more bytes are needed
        kRequest,
        kRefused,  // `refusal` is the answer, and then the connection ends
    } kind = Kind::kIncomplete;
    std::size_t bytes = 0;  // of the head, when complete
    Request request = {};
    bool keep_alive = false;
    Response refusal = {};
};

// `bytes` start with a request. At most kMaxHeaderBytes are looked at; no request may have a body.
ParsedHead parse_head(std::string_view bytes);

}  // namespace nett::metadata
