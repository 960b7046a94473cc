#include "plugins/metadata/client_verifier.hpp"

#include <algorithm>
#include <chrono>

#include <openssl/x509_vfy.h>

#include "plugins/metadata/certificates.hpp"
#include "plugins/metadata/limits.hpp"

namespace nett::metadata {

namespace {

// Until when nothing of the verified chain runs out: its certificates, and the lists that cover their issuers.
SystemTime end_of(X509_STORE_CTX* context) {
    const auto* chain = X509_STORE_CTX_get0_chain(context);
    SystemTime until = SystemTime::max();
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        X509* one = sk_X509_value(chain, i);
        until = std::min(until, time_of(X509_get0_notAfter(one)));
        auto* lists = X509_STORE_CTX_get1_crls(context, X509_get_subject_name(one));
        for (int j = 0; j < sk_X509_CRL_num(lists); ++j) {
            const auto next = time_of(X509_CRL_get0_nextUpdate(sk_X509_CRL_value(lists, j)));
            if (next != SystemTime{}) until = std::min(until, next);
        }
        sk_X509_CRL_pop_free(lists, X509_CRL_free);
    }
    return until;
}

}  // namespace

int ClientVerifier::verify_callback(X509_STORE_CTX* context, void* self) {
    auto& verifier = *static_cast<ClientVerifier*>(self);
    X509* leaf = X509_STORE_CTX_get0_cert(context);
    if (leaf == nullptr) return 0;
    const auto digest = digest_of(leaf);
    if (verifier.find(digest, std::chrono::system_clock::now())) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    const int verified = X509_verify_cert(context);
    if (verified != 1) return verified;
    verifier.remember(digest, {time_of(X509_get0_notBefore(leaf)), end_of(context),
                               std::make_shared<const CertificateSubject>(subject_of(leaf))});
    return 1;
}

Result<CertificateSubject> ClientVerifier::recall(const X509* leaf, SystemTime now) {
    const auto subject = find(digest_of(leaf), now);
    if (!subject) return fail(Code::kUnauthenticated, "certificate of a resumed session is not valid any more");
    return *subject;
}

void ClientVerifier::trust(const X509* certificate) {
    trusted_ = digest_of(certificate);
    trusted_subject_ = std::make_shared<const CertificateSubject>(subject_of(certificate));
}

std::shared_ptr<const CertificateSubject> ClientVerifier::find(const std::string& digest, SystemTime now) {
    if (!trusted_.empty() && digest == trusted_) return trusted_subject_;
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(digest);
    if (found == known_.end()) return nullptr;
    if (now >= found->second.from && now < found->second.until) return found->second.subject;
    known_.erase(found);
    return nullptr;
}

void ClientVerifier::remember(const std::string& digest, Known known) {
    const std::lock_guard lock(mutex_);
    // Full: forget one, whichever; digests are spread evenly, so this is a random one.
    if (known_.size() >= kMaxKnownClients) {
        const auto next = known_.lower_bound(digest);
        known_.erase(next == known_.end() ? known_.begin() : next);
    }
    known_[digest] = std::move(known);
}

}  // namespace nett::metadata
