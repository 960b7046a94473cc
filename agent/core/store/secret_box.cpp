#include "agent/core/store/secret_box.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/store/posix_file.hpp"
#include "agent/sdk/free_with.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kNonceSize = 12;  // 96 bits: the size GCM uses without hashing (SP 800-38D section 8.2)
constexpr std::size_t kTagSize = 16;
constexpr std::string_view kPrefix = "v1:";

using Key = std::array<unsigned char, kKeySize>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;

Cipher make_cipher() {
    return Cipher(EVP_CIPHER_CTX_new());
}
const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

std::string to_base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a NUL
    const int size = EVP_EncodeBlock(bytes_of(out), bytes_of(bytes), static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

// nullopt when it is not exactly what to_base64() writes: OpenSSL alone would let blanks around it and the unused bits
// of its last digit pass (RFC 4648 section 3.5).
std::optional<std::string> from_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0) return std::nullopt;
    std::string out(text.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(bytes_of(out), bytes_of(text), static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    // EVP_DecodeBlock counts the padding as zero bytes.
    const auto padding = static_cast<std::size_t>(text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0);
    out.resize(static_cast<std::size_t>(size) - padding);
    if (to_base64(out) != text) return std::nullopt;
    return out;
}

class AesGcmBox final : public SecretBox {
public:
    explicit AesGcmBox(const Key& key) : key_(key) {}
    ~AesGcmBox() override { OPENSSL_cleanse(key_.data(), key_.size()); }

    Result<std::string> seal(std::string_view plaintext, std::string_view context) const override {
        std::string box(kNonceSize + plaintext.size() + kTagSize, '\0');
        unsigned char* const nonce = bytes_of(box);
        unsigned char* const body = nonce + kNonceSize;
        unsigned char* const tag = body + plaintext.size();
        const auto cipher = make_cipher();
        int size = 0;
        const bool sealed =
            cipher && RAND_bytes(nonce, kNonceSize) == 1 &&
            EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce) == 1 &&
            EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes_of(context), static_cast<int>(context.size())) == 1 &&
            EVP_EncryptUpdate(cipher.get(), body, &size, bytes_of(plaintext), static_cast<int>(plaintext.size())) ==
                1 &&
            EVP_EncryptFinal_ex(cipher.get(), body + size, &size) == 1 &&
            EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, tag) == 1;
        if (!sealed) return fail(Code::kInternal, "cannot seal {}: OpenSSL refused", context);
        return std::string(kPrefix) + to_base64(box);
    }

    Result<std::string> open(std::string_view sealed, std::string_view context) const override {
        const auto wrong = [&] {
            return fail(
                Code::kDataLoss,
                "cannot open the secret of {}: it was sealed with another key or for another place, or it is damaged",
                context);
        };
        if (!sealed.starts_with(kPrefix)) return wrong();
        auto box = from_base64(sealed.substr(kPrefix.size()));
        if (!box || box->size() < kNonceSize + kTagSize) return wrong();
        const std::size_t body_size = box->size() - kNonceSize - kTagSize;
        unsigned char* const nonce = bytes_of(*box);
        unsigned char* const body = nonce + kNonceSize;
        std::string plaintext(body_size, '\0');
        const auto cipher = make_cipher();
        int size = 0;
        const bool opened =
            cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce) == 1 &&
            EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes_of(context), static_cast<int>(context.size())) == 1 &&
            EVP_DecryptUpdate(cipher.get(), bytes_of(plaintext), &size, body, static_cast<int>(body_size)) == 1 &&
            EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, body + body_size) == 1 &&
            EVP_DecryptFinal_ex(cipher.get(), bytes_of(plaintext) + size, &size) == 1;
        if (!opened) return wrong();
        return plaintext;
    }

private:
    Key key_;
};

// Writes a new key beside the path and links it there: the file is whole or absent, and the first of several makers
// wins.
Result<void> make_key_file(const std::string& path) {
    Key key;
    if (RAND_bytes(key.data(), kKeySize) != 1) return fail(Code::kInternal, "OpenSSL has no random bytes for {}", path);
    std::string text = to_hex(std::string_view(reinterpret_cast<const char*>(key.data()), key.size())) + "\n";
    OPENSSL_cleanse(key.data(), key.size());
    std::string temporary = path + ".XXXXXX";
    const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));  // 0600 by POSIX
    if (!fd) return fail(errno_error(errno, "cannot make the secret key", path));
    auto written = write_all(fd.get(), text, temporary);
    OPENSSL_cleanse(text.data(), text.size());
    if (written) written = sync_file(fd.get(), temporary);
    if (written && ::link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) {
        written = fail(errno_error(errno, "cannot make the secret key", path));
    }
    ::unlink(temporary.c_str());
    NETT_TRY(std::move(written));
    return sync_directory(directory_of(path));
}

Result<void> check_key_file(int fd, const std::string& path) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(errno_error(errno, "cannot inspect", path));
    if (!S_ISREG(info.st_mode))
        return fail(Error{Code::kInvalidArgument, "the secret key is not a regular file", path});
    if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
        return fail(
            Error{Code::kPermissionDenied,
                  fmt::format("the secret key belongs to user {}; it must belong to root or to the agent's user",
                              info.st_uid),
                  path});
    }
    if ((info.st_mode & 077U) != 0) {
        return fail(Error{
            Code::kPermissionDenied,
            fmt::format("the secret key is open to others (mode {:04o}); `chmod 600` it, and make a new one if they "
                        "may have read it",
                        info.st_mode & 07777U),
            path});
    }
    return {};
}

Result<Key> read_key(int fd, const std::string& path) {
    constexpr std::size_t kDigits = 2 * kKeySize;
    std::array<char, kDigits + 2> text{};  // a newline may follow; one more byte tells that there is more
    const ssize_t size = ::read(fd, text.data(), text.size());
    if (size < 0) return fail(errno_error(errno, "cannot read the secret key", path));
    const auto digits = trim(std::string_view(text.data(), static_cast<std::size_t>(size)));
    Key key{};
    long decoded = 0;
    unsigned char* raw = digits.size() == kDigits ? OPENSSL_hexstr2buf(std::string(digits).c_str(), &decoded) : nullptr;
    const bool good = raw != nullptr && static_cast<std::size_t>(decoded) == kKeySize;
    if (good) std::copy_n(raw, kKeySize, key.begin());
    OPENSSL_clear_free(raw, static_cast<std::size_t>(decoded));
    OPENSSL_cleanse(text.data(), text.size());
    if (!good) {
        return fail(
            Error{Code::kDataLoss,
                  "the secret key is not 64 hex digits; restore it from a backup, or move it away and register all "
                  "secrets again",
                  path});
    }
    return key;
}

}  // namespace

Result<std::unique_ptr<SecretBox>> open_secret_box(const std::string& key_path) {
    auto fd = open_file(key_path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (!fd && fd.error().code == Code::kNotFound) {
        NETT_TRY(make_key_file(key_path));
        fd = open_file(key_path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    }
    if (!fd) return fail(std::move(fd.error()));
    NETT_TRY(check_key_file(fd->get(), key_path));
    auto key = read_key(fd->get(), key_path);
    if (!key) return fail(std::move(key.error()));
    std::unique_ptr<SecretBox> box = std::make_unique<AesGcmBox>(*key);
    OPENSSL_cleanse(key->data(), key->size());
    return box;
}

}  // namespace nett
