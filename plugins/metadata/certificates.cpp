#include "plugins/metadata/certificates.hpp"

#include <array>
#include <ctime>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "agent/sdk/strings.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;

BioPtr memory_bio(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// A key with a passphrase is refused instead of asking the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

// `read` is one of OpenSSL's PEM_read_bio functions.
template <typename Pointer, typename Read>
Result<std::vector<Pointer>> objects_of(const std::string& path, std::string_view what, Read read) {
    auto text = read_file(path, kMaxPemBytes);
    if (!text) return fail(std::move(text.error()));
    ERR_clear_error();
    const auto bio = memory_bio(*text);
    std::vector<Pointer> out;
    while (Pointer one{read(bio.get(), nullptr, no_passphrase, nullptr)}) out.push_back(std::move(one));
    const auto last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    const auto reason = openssl_reason();
    if (out.empty()) return fail(Code::kInvalidArgument, "{}: no PEM {} in it ({})", path, what, reason);
    if (!at_end) return fail(Code::kInvalidArgument, "{}: {} {} is broken: {}", path, what, out.size() + 1, reason);
    return out;
}

std::string address_text(const ASN1_STRING* address) {
    const auto* data = ASN1_STRING_get0_data(address);
    Address6::bytes_type bytes{};
    if (static_cast<std::size_t>(ASN1_STRING_length(address)) != bytes.size()) {
        return to_hex({reinterpret_cast<const char*>(data), static_cast<std::size_t>(ASN1_STRING_length(address))});
    }
    std::copy(data, data + bytes.size(), bytes.begin());
    return Address6(bytes).to_string();
}

void add_names(const X509* certificate, CertificateInfo& info) {
    const NamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const auto* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_IPADD) {
            info.names.push_back(address_text(name->d.iPAddress));
            Address6::bytes_type bytes{};
            if (static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress)) != bytes.size()) continue;
            const auto* data = ASN1_STRING_get0_data(name->d.iPAddress);
            std::copy(data, data + bytes.size(), bytes.begin());
            info.addresses.emplace_back(bytes);
        } else if (name->type == GEN_DNS) {
            const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
            info.names.emplace_back(data, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        }
    }
}

bool is_ipxe_key(const X509* certificate) {
    const EVP_PKEY* key = X509_get0_pubkey(certificate);
    if (key == nullptr) return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) return true;
    std::array<char, 32> group{};
    if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return false;
    const std::string_view name(group.data());
    return name == "prime256v1" || name == "secp384r1";
}

std::vector<std::string> entries_of(const X509_NAME* name, int nid) {
    std::vector<std::string> out;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
        unsigned char* text = nullptr;
        const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        // What cannot be read as text must not count as absent: an empty one matches nothing and spoils the match.
        out.emplace_back(size < 0 ? "" : std::string(reinterpret_cast<char*>(text), static_cast<std::size_t>(size)));
        OPENSSL_free(text);
    }
    return out;
}

}  // namespace

std::string openssl_reason() {
    const auto code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    std::string text = reason == nullptr ? "unknown reason" : reason;
    ERR_clear_error();
    return text;
}

Result<std::vector<X509Ptr>> read_certificates(const std::string& path) {
    return objects_of<X509Ptr>(path, "certificate", PEM_read_bio_X509_AUX);
}

Result<std::vector<CrlPtr>> read_revocation_lists(const std::string& path) {
    return objects_of<CrlPtr>(path, "revocation list (X509 CRL)", PEM_read_bio_X509_CRL);
}

Result<KeyPtr> read_private_key(const std::string& path) {
    auto text = read_file(path, kMaxPemBytes);
    if (!text) return fail(std::move(text.error()));
    ERR_clear_error();
    const auto bio = memory_bio(*text);
    KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)};
    OPENSSL_cleanse(text->data(), text->size());
    if (!key) {
        return fail(Code::kInvalidArgument, "{}: no unencrypted PEM private key in it ({})", path, openssl_reason());
    }
    return key;
}

std::string name_text(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

SystemTime time_of(const ASN1_TIME* time) {
    std::tm utc{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &utc) != 1) return {};
    return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string digest_of(const X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest.data(), &size);
    return std::string(reinterpret_cast<const char*>(digest.data()), size);
}

CertificateInfo describe(X509* certificate) {
    CertificateInfo info;
    info.subject = name_text(X509_get_subject_name(certificate));
    info.issuer = name_text(X509_get_issuer_name(certificate));
    info.sha256 = to_hex(digest_of(certificate));
    info.not_before = time_of(X509_get0_notBefore(certificate));
    info.not_after = time_of(X509_get0_notAfter(certificate));
    add_names(certificate, info);
    info.ipxe_key = is_ipxe_key(certificate);
    ERR_clear_error();
    return info;
}

CertificateInfo describe(const std::vector<X509Ptr>& chain) {
    auto info = describe(chain.front().get());
    info.sends_root = X509_self_signed(chain.back().get(), 0) == 1;
    ERR_clear_error();
    return info;
}

RevocationListInfo describe(const X509_CRL* list, std::string file) {
    RevocationListInfo info;
    info.file = std::move(file);
    info.issuer = name_text(X509_CRL_get_issuer(list));
    info.issued = time_of(X509_CRL_get0_lastUpdate(list));
    info.next = time_of(X509_CRL_get0_nextUpdate(list));
    info.revoked = std::max(0, sk_X509_REVOKED_num(X509_CRL_get_REVOKED(const_cast<X509_CRL*>(list))));
    return info;
}

CertificateSubject subject_of(const X509* certificate) {
    const auto* name = X509_get_subject_name(certificate);
    return {entries_of(name, NID_commonName), entries_of(name, NID_organizationalUnitName)};
}

}  // namespace nett::metadata
