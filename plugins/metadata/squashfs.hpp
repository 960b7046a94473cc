// A machine's config as the small squashfs image that Talos mounts as an extension (facts: Talos >= 1.12 reads
// /usr/local/etc/talos/config.yaml as an embedded config). Made in memory with libsquashfs.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/sdk/result.hpp"

namespace nett::metadata {

// Both are what Talos' kernel mounts; gzip is not. xz is smaller, zstd is faster to make and to mount.
enum class ImageCompression { kXz, kZstd };

// An image with the one file /usr/local/etc/talos/config.yaml (0400, root). The same bytes for the same config on every
// server: no times, no identities. kInvalidArgument for an empty config, kInternal when libsquashfs fails. Thread-safe.
Result<std::string> make_config_image(std::string_view config, ImageCompression compression = ImageCompression::kXz);

// An image with its digest.
struct ConfigImage {
    std::string bytes;
    std::string sha256;  // of `bytes`

    ConfigImage(std::string image_bytes, std::string digest)
        : bytes(std::move(image_bytes)), sha256(std::move(digest)) {}
    ~ConfigImage();  // wipes the bytes: they are a machine's secrets
    ConfigImage(const ConfigImage&) = delete;
    ConfigImage& operator=(const ConfigImage&) = delete;
};

// The images made last, by the digest of their config, at most `limit` bytes of them. Thread-safe.
class ConfigImageCache {
public:
    explicit ConfigImageCache(std::size_t limit) : limit_(limit) {}

    // The image of a config with this digest; made if it is not there.
    Result<std::shared_ptr<const ConfigImage>> get(const std::string& config_sha256, std::string_view config,
                                                   ImageCompression compression);
    std::size_t bytes() const;

private:
    using Entry = std::pair<std::string, std::shared_ptr<const ConfigImage>>;

    const std::size_t limit_;
    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // most recently used first
    std::unordered_map<std::string, std::list<Entry>::iterator> index_;
    std::size_t bytes_ = 0;
};

}  // namespace nett::metadata
