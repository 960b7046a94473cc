#include <gtest/gtest.h>

#include <map>

#include "builder/pki_status.hpp"
#include "builder/x509.hpp"
#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

std::vector<Certificate> certificates_in(const std::string& path) {
    return parse_certificates(get_file(path)).value();
}

TEST(Pki, InitMakesARootAndAServerCertificateWithTheAddressAsIpSan) {
    const TemporaryFolder folder;
    const auto request = pki_request(folder.at("pki"));
    const auto files = init_pki(request, {meta_address(), *parse_address6("2001:db8:ffff::2")});
    ASSERT_TRUE(files) << files.error().to_string();
    EXPECT_EQ(files->size(), 5u);

    const auto root = certificates_in(folder.at("pki/root.pem"));
    ASSERT_EQ(root.size(), 1u);
    EXPECT_TRUE(root[0].is_authority);
    EXPECT_TRUE(root[0].is_self_signed);
    EXPECT_EQ(root[0].key, KeyFamily::kP256);

    const auto server = certificates_in(folder.at("pki/server.pem"));
    ASSERT_EQ(server.size(), 2u) << "leaf, then root";
    EXPECT_EQ(server[1].der, root[0].der);
    EXPECT_FALSE(server[0].is_authority);
    EXPECT_TRUE(server[0].for_server);
    EXPECT_FALSE(server[0].for_client);
    EXPECT_EQ(server[0].addresses, (std::vector<std::string>{"2001:db8:ffff::1", "2001:db8:ffff::2"}));
    EXPECT_TRUE(verify_chain({server[0]}, root[0]));
    EXPECT_TRUE(key_matches(get_file(folder.at("pki/server.key")), server[0]).value());
    EXPECT_FALSE(key_matches(get_file(folder.at("pki/root.key")), server[0]).value());
}

TEST(Pki, ValidityStartsEarlyForMachinesWithAWrongClock) {
    const TemporaryFolder folder;
    const auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    const auto server = certificates_in(folder.at("server.pem"));
    for (const Certificate& certificate : server)
        EXPECT_LT(certificate.not_before, request.now - std::chrono::hours(24 * 365 * 4));
    EXPECT_EQ(server[0].not_after, request.now + std::chrono::hours(24 * kDefaultCertificateDays));
    EXPECT_GT(server[1].not_after, server[0].not_after);
}

TEST(Pki, KeysAreReadableByTheirOwnerAlone) {
    const TemporaryFolder folder;
    ASSERT_TRUE(init_pki(pki_request(folder.path()), {meta_address()}));
    ASSERT_TRUE(issue_tenant(pki_request(folder.path()), {"tenant-a", "", ""}));
    for (const char* key : {"root.key", "server.key", "tenant-a.key"}) EXPECT_EQ(mode_of(folder.at(key)), 0600u) << key;
    for (const char* certificate : {"root.pem", "server.pem", "tenant-a.pem"})
        EXPECT_EQ(mode_of(folder.at(certificate)), 0644u) << certificate;
}

TEST(Pki, NothingIsReplacedWithoutForce) {
    const TemporaryFolder folder;
    auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    const std::string root = get_file(folder.at("root.pem"));
    const auto again = init_pki(request, {meta_address()});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::kAlreadyExists);
    EXPECT_NE(again.error().message.find("--force"), std::string::npos);
    EXPECT_EQ(get_file(folder.at("root.pem")), root);
    request.force = true;
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    EXPECT_NE(get_file(folder.at("root.pem")), root);
    EXPECT_EQ(entries_of(folder.path()), 5u) << "temporary files are left";

    request.force = false;
    ASSERT_TRUE(issue_tenant(request, {"tenant-a", "", ""}));
    const std::string key = get_file(folder.at("tenant-a.key"));
    EXPECT_FALSE(issue_tenant(request, {"tenant-a", "", ""}));
    EXPECT_EQ(get_file(folder.at("tenant-a.key")), key);
}

TEST(Pki, TenantCertificateTellsTheTenantInItsSubject) {
    const TemporaryFolder folder;
    const auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    ASSERT_TRUE(issue_tenant(request, {"tenant-a", "", ""}));
    ASSERT_TRUE(issue_tenant(request, {"tenant-b", "boot.b.example", "Tenant B"}));
    const auto root = certificates_in(folder.at("root.pem")).front();
    const auto a = certificates_in(folder.at("tenant-a.pem"));
    ASSERT_EQ(a.size(), 1u);
    EXPECT_EQ(a[0].common_name, "tenant-a.boot.example");
    EXPECT_TRUE(a[0].for_client);
    EXPECT_FALSE(a[0].for_server);
    EXPECT_TRUE(verify_chain(a, root));
    EXPECT_EQ(certificates_in(folder.at("tenant-b.pem")).front().subject, "CN=boot.b.example,OU=Tenant B");
}

TEST(Pki, TenantNamesCannotReachTheOtherFiles) {
    const TemporaryFolder folder;
    ASSERT_TRUE(init_pki(pki_request(folder.path()), {meta_address()}));
    for (const char* name : {"root", "server", "../x", "", "a/b"})
        EXPECT_FALSE(issue_tenant(pki_request(folder.path()), {name, "", ""})) << name;
}

TEST(Pki, TenantsNeedARoot) {
    const TemporaryFolder folder;
    const auto result = issue_tenant(pki_request(folder.path()), {"tenant-a", "", ""});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kNotFound);
    EXPECT_NE(result.error().message.find("pki init"), std::string::npos);
    EXPECT_EQ(entries_of(folder.path()), 0u);
}

TEST(Pki, ServerRenewalKeepsTheRoot) {
    const TemporaryFolder folder;
    ASSERT_TRUE(init_pki(pki_request(folder.path()), {meta_address()}));
    const std::string root = get_file(folder.at("root.pem"));
    const std::string server = get_file(folder.at("server.pem"));
    ASSERT_TRUE(renew_server(pki_request(folder.path()), {meta_address()}));
    EXPECT_EQ(get_file(folder.at("root.pem")), root);
    EXPECT_NE(get_file(folder.at("server.pem")), server);
    const auto renewed = certificates_in(folder.at("server.pem"));
    EXPECT_TRUE(verify_chain({renewed[0]}, certificates_in(folder.at("root.pem")).front()));
}

TEST(Pki, NoCertificateOutlivesItsRoot) {
    const TemporaryFolder folder;
    auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    const auto root = certificates_in(folder.at("root.pem")).front();
    request.now = root.not_after - std::chrono::hours(24);
    ASSERT_TRUE(issue_tenant(request, {"late", "", ""}));
    EXPECT_EQ(certificates_in(folder.at("late.pem")).front().not_after, root.not_after);
    request.now = root.not_after + std::chrono::hours(24);
    EXPECT_EQ(issue_tenant(request, {"too-late", "", ""}).error().code, Code::kFailedPrecondition);
}

TEST(Pki, WhileARootTakesOverTheServersChainLeadsToBoth) {
    const TemporaryFolder folder;
    auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    ASSERT_TRUE(issue_tenant(request, {"tenant-a", "", ""}));
    const auto old = certificates_in(folder.at("root.pem")).front();
    const auto old_tenant = certificates_in(folder.at("tenant-a.pem"));
    request.now += std::chrono::hours(1);
    const auto started = start_rotation(request, {meta_address()});
    ASSERT_TRUE(started) << started.error().to_string();
    EXPECT_EQ(start_rotation(request, {meta_address()}).error().code, Code::kFailedPrecondition);
    const auto root = certificates_in(folder.at("root.pem")).front();
    EXPECT_NE(root.subject, old.subject);
    for (int i = 0; i < 2; ++i) {  // a renewal in the meantime keeps the chain
        const auto chain = certificates_in(folder.at("server.pem"));
        ASSERT_EQ(chain.size(), 4u);
        EXPECT_TRUE(verify_chain({chain[0]}, root));
        EXPECT_EQ(chain[1].der, root.der);
        EXPECT_EQ(chain[2].subject, root.subject);
        EXPECT_EQ(chain[2].issuer, old.subject);
        EXPECT_TRUE(verify_chain({chain[0], chain[2]}, old));
        EXPECT_EQ(chain[3].der, old.der);
        ASSERT_TRUE(renew_server(request, {meta_address()}));
    }
    EXPECT_EQ(certificates_in(folder.at("clients.pem")).size(), 2u);
    EXPECT_TRUE(verify_chain(old_tenant, old));

    const auto early = finish_rotation(request);
    ASSERT_FALSE(early);
    EXPECT_NE(early.error().message.find("tenant-a.pem"), std::string::npos) << early.error().message;
    request.force = true;
    ASSERT_TRUE(issue_tenant(request, {"tenant-a", "", ""}));
    request.force = false;
    ASSERT_TRUE(finish_rotation(request));
    EXPECT_EQ(certificates_in(folder.at("server.pem")).size(), 2u);
    EXPECT_EQ(certificates_in(folder.at("clients.pem")).size(), 1u);
    EXPECT_TRUE(verify_chain(certificates_in(folder.at("tenant-a.pem")), root));
    EXPECT_FALSE(verify_chain(old_tenant, root));
    for (const char* gone : {"root-old.pem", "root-old.key", "root-cross.pem"})
        EXPECT_FALSE(std::filesystem::exists(folder.at(gone))) << gone;
    EXPECT_EQ(finish_rotation(request).error().code, Code::kFailedPrecondition);
}

TEST(PkiStatus, SaysWhatExpiresWhen) {
    const TemporaryFolder folder;
    auto request = pki_request(folder.path());
    ASSERT_TRUE(init_pki(request, {meta_address()}));
    request.days = 7;
    ASSERT_TRUE(issue_tenant(request, {"tenant-a", "", ""}));
    put_file(folder.at("notes.pem"), "no certificate\n");
    const auto states = [&](std::chrono::hours later) {
        std::map<std::string, std::string> result;
        for (const StatusEntry& entry : pki_status({folder.path()}, request.now + later, std::chrono::hours(24 * 30)))
            result[entry.path.substr(folder.path().size() + 1)] =
                entry.kind + " " + std::string(to_string(entry.validity));
        return result;
    };
    using States = std::map<std::string, std::string>;
    EXPECT_EQ(states({}), (States{{"root.pem", "root valid"},
                                  {"clients.pem", "root valid"},
                                  {"server.pem", "server valid"},
                                  {"tenant-a.pem", "client expiring"}}));
    EXPECT_EQ(states(std::chrono::hours(24 * 8)).at("tenant-a.pem"), "client expired");
    EXPECT_EQ(states(-std::chrono::hours(24 * 2)).at("tenant-a.pem"), "client not-yet-valid");
    const auto missing = pki_status({folder.at("absent.pem")}, request.now, {});
    ASSERT_EQ(missing.size(), 1u);
    EXPECT_EQ(missing[0].validity, Validity::kUnreadable);
}

TEST(Pki, RsaIsThereForOldIpxe) {
    const TemporaryFolder folder;
    ASSERT_TRUE(init_pki(pki_request(folder.path()), {meta_address()}, KeyFamily::kRsa));
    ASSERT_TRUE(issue_tenant(pki_request(folder.path()), {"tenant-a", "", ""}));
    for (const char* file : {"root.pem", "server.pem", "tenant-a.pem"})
        EXPECT_EQ(certificates_in(folder.at(file)).front().key, KeyFamily::kRsa) << file;
}

TEST(X509, BadPemIsNamed) {
    EXPECT_EQ(parse_certificates("").error().message, "holds no certificate in PEM");
    EXPECT_FALSE(parse_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    EXPECT_FALSE(parse_private_key("no key"));
    const auto encrypted =
        parse_private_key("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n");
    ASSERT_FALSE(encrypted);
    EXPECT_NE(encrypted.error().message.find("passphrase"), std::string::npos);
}

}  // namespace
}  // namespace nett::builder
