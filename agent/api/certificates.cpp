#include "agent/api/certificates.hpp"

#include <cstdio>
#include <ctime>
#include <memory>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "agent/sdk/free_with.hpp"
#include "agent/sdk/strings.hpp"

namespace nett {

namespace {

constexpr std::size_t kMaxPemFile = 1U << 20U;  // a chain or a set of roots; a few KiB are usual

using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

Error unusable(const std::string& path, std::string_view what) {
    ERR_clear_error();
    return {Code::kFailedPrecondition, std::string(what), path};
}

// A key with a passphrase would make OpenSSL ask on the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Result<Certificate> read_certificate(const std::string& path) {
    auto text = read_file(path, kMaxPemFile);
    if (!text) return fail(std::move(text.error()));
    const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!certificate) return fail(unusable(path, "has no PEM certificate"));
    return certificate;
}

Result<Key> read_key(const std::string& path) {
    auto text = read_file(path, kMaxPemFile);
    if (!text) return fail(std::move(text.error()));
    const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
    Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) return fail(unusable(path, "has no PEM private key without a passphrase"));
    return key;
}

}  // namespace

Result<SystemTime> check_certificates(const ApiCertificates& files) {
    const auto certificate = read_certificate(files.certificate);
    if (!certificate) return fail(certificate.error());
    const auto key = read_key(files.private_key);
    if (!key) return fail(key.error());
    if (X509_check_private_key(certificate->get(), key->get()) != 1) {
        return fail(unusable(files.private_key, fmt::format("is not the key of {}", files.certificate)));
    }
    const auto root = read_certificate(files.client_ca);
    if (!root) return fail(root.error());
    std::tm ends{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->get()), &ends) != 1) {
        return fail(unusable(files.certificate, "has no readable end of validity"));
    }
    return std::chrono::system_clock::from_time_t(::timegm(&ends));
}

}  // namespace nett
