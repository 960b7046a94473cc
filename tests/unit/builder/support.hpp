// What the builder's tests share: a folder that goes away, a small PKI, a stand-in for iPXE's binary.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include "agent/sdk/clock.hpp"
#include "agent/sdk/strings.hpp"
#include "builder/ipxe_binary.hpp"
#include "builder/pki.hpp"

namespace nett::builder {

class TemporaryFolder {
public:
    TemporaryFolder() : path_(::testing::TempDir() + "builder.XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr) std::abort();
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() { std::filesystem::remove_all(path_); }
    std::string at(std::string_view name) const { return path_ + "/" + std::string(name); }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

inline void put_file(const std::string& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string get_file(const std::string& path) {
    return read_file(path, 1 << 30).value();
}

inline mode_t mode_of(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

inline std::size_t entries_of(const std::string& folder) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

inline PkiRequest pki_request(const std::string& folder) {
    PkiRequest request;
    request.folder = folder;
    request.now = ManualClock().system_now();
    return request;
}

inline Address6 meta_address() {
    return *parse_address6("2001:db8:ffff::1");
}

// A PE header for amd64, an SBAT line with the version, and the built-in trust anchor.
inline std::string fake_ipxe(std::string_view version = "2.0.0+dfsg-5") {
    std::string binary(4096, '\0');
    binary.replace(0, 2, "MZ");
    binary[0x3c] = '\x80';
    binary.replace(0x80, 6, std::string_view("PE\0\0\x64\x86", 6));
    binary += "sbat,1,SBAT Version\nipxe,1,iPXE,ipxe.efi," + std::string(version) + ",https://ipxe.org\n";
    binary += std::string(100, 'x');
    binary += builtin_trust_anchor();
    return binary + std::string(100, 'y');
}

}  // namespace nett::builder
