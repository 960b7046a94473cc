// Fetching files over HTTP(S) by curl, into a cache, where an interrupted one is gone on with.
#pragma once

#include <string>
#include <string_view>

#include "agent/sdk/result.hpp"

namespace nett::builder {

struct FetchRequest {
    std::string url;      // https:// or http://
    std::string sha256;   // 64 hex digits; empty: whatever the server sends is taken, over https only
    std::string cache;    // folder; empty: default_cache()
    std::string ca_file;  // PEM of the server's CA; empty: the system's
};

bool is_url(std::string_view text);

// $XDG_CACHE_HOME/talos-fabric-builder, or in ~/.cache. kFailedPrecondition when neither is known.
Result<std::string> default_cache();

// Answers with the complete file's path, named as the URL's last part. One with the right digest that is in the cache
// is not fetched again; without a digest it always is. kDataLoss: the digest is another (the file is removed);
// kUnavailable: the server cannot be reached or the transfer broke off, and running again goes on; kNotFound: HTTP 404.
Result<std::string> fetch(const FetchRequest& request);

}  // namespace nett::builder
