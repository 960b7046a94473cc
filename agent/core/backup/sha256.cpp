#include "agent/core/backup/sha256.hpp"

#include <array>
#include <cerrno>
#include <new>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "agent/core/store/posix_file.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {
constexpr std::size_t kReadSize = 256 * 1024;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}

void Sha256::update(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

Result<std::string> sha256_of_file(const std::string& path) {
    auto fd = open_file(path, O_RDONLY);
    if (!fd) return fail(std::move(fd.error()));
    Sha256 digest;
    std::vector<char> buffer(kReadSize);
    for (;;) {
        const auto size = ::read(fd->get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail(errno_error(errno, "cannot read", path));
        if (size == 0) return digest.finish();
        digest.update({buffer.data(), static_cast<std::size_t>(size)});
    }
}

}  // namespace nett
