// A P-256 certificate authority made in memory, and PEM files of what it issues.
#pragma once

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace nett::metadata::test {

// A certificate with its key. Subjects are written "CN=…/OU=…".
class Identity {
public:
    struct Options {
        std::vector<std::pair<std::string, std::string>> subject;
        std::vector<std::pair<int, std::string>> extensions;  // OpenSSL's configuration syntax
        long valid_from = -3600;                              // seconds from now
        long valid_for = 7200;
    };

    Identity(const Options& options, const Identity* issuer)
        : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
        X509* cert = certificate_.get();
        X509_set_version(cert, X509_VERSION_3);
        static long serial = 1;
        ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
        X509_gmtime_adj(X509_getm_notBefore(cert), options.valid_from);
        X509_gmtime_adj(X509_getm_notAfter(cert), options.valid_from + options.valid_for);
        for (const auto& [field, value] : options.subject) {
            X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), field.c_str(), MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), -1, 0);
        }
        X509* from = issuer != nullptr ? issuer->certificate_.get() : cert;
        X509_set_issuer_name(cert, X509_get_subject_name(from));
        X509_set_pubkey(cert, key_.get());
        X509V3_CTX context;
        X509V3_set_ctx(&context, from, cert, nullptr, nullptr, 0);
        for (const auto& [nid, value] : options.extensions) {
            X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
            X509_add_ext(cert, extension, -1);
            X509_EXTENSION_free(extension);
        }
        X509_sign(cert, issuer != nullptr ? issuer->key_.get() : key_.get(), EVP_sha256());
    }

    X509* certificate() const { return certificate_.get(); }
    EVP_PKEY* key() const { return key_.get(); }
    std::string certificate_pem() const {
        return pem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate_.get()); });
    }
    std::string key_pem(const char* passphrase = nullptr) const {
        return pem([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key_.get(), passphrase != nullptr ? EVP_aes_128_cbc() : nullptr, nullptr, 0,
                                     nullptr, const_cast<char*>(passphrase));
        });
    }

private:
    template <typename Write>
    static std::string pem(Write write) {
        const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
        write(bio.get());
        char* data = nullptr;
        const auto size = BIO_get_mem_data(bio.get(), &data);
        return std::string(data, static_cast<std::size_t>(size));
    }

    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

inline Identity make_ca(const std::string& name) {
    return Identity({{{"CN", name}},
                     {{NID_basic_constraints, "critical,CA:TRUE"}, {NID_key_usage, "critical,keyCertSign,cRLSign"}}},
                    nullptr);
}
inline Identity make_server(const Identity& ca, long valid_from = -3600, long valid_for = 30 * 24 * 3600) {
    return Identity({{{"CN", "metadata"}},
                     {{NID_subject_alt_name, "IP:2001:db8:ffff::1"}, {NID_ext_key_usage, "serverAuth"}},
                     valid_from,
                     valid_for},
                    &ca);
}
inline Identity make_client(const Identity& ca, const std::string& common_name,
                            const std::string& usage = "clientAuth") {
    return Identity({{{"CN", common_name}, {"OU", "boot"}}, {{NID_ext_key_usage, usage}}}, &ca);
}

// A revocation list of `ca` with the serial numbers of these. Valid from now - 1 h for `valid_for` seconds.
inline std::string make_crl_pem(const Identity& ca, const std::vector<const Identity*>& revoked,
                                long valid_for = 7200) {
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(ca.certificate()));
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(ASN1_TIME_new(), ASN1_TIME_free);
    X509_gmtime_adj(time.get(), -3600);
    X509_CRL_set1_lastUpdate(list.get(), time.get());
    for (const auto* one : revoked) {
        X509_REVOKED* entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->certificate()));
        X509_REVOKED_set_revocationDate(entry, time.get());
        X509_CRL_add0_revoked(list.get(), entry);
    }
    X509_gmtime_adj(time.get(), -3600 + valid_for);
    X509_CRL_set1_nextUpdate(list.get(), time.get());
    X509_CRL_sort(list.get());
    X509_CRL_sign(list.get(), ca.key(), EVP_sha256());
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_X509_CRL(bio.get(), list.get());
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

// Files below one temporary directory, gone with it.
class PemFiles {
public:
    PemFiles() {
        std::string pattern = std::filesystem::temp_directory_path() / "nett-pki-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~PemFiles() { std::filesystem::remove_all(directory_); }
    PemFiles(const PemFiles&) = delete;
    PemFiles& operator=(const PemFiles&) = delete;

    std::string write(const std::string& name, const std::string& text) const {
        const std::string path = directory_ + "/" + name;
        std::ofstream(path) << text;
        std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        return path;
    }
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

private:
    std::string directory_;
};

}  // namespace nett::metadata::test
