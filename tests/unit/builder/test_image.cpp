// Images from a stand-in for iPXE with the real tools (mkfs.vfat, mtools, sgdisk, xorriso).
#include <gtest/gtest.h>

#include <csignal>

#include <sys/resource.h>

#include "builder/image.hpp"
#include "builder/inspect.hpp"
#include "builder/process.hpp"
#include "builder/x509.hpp"
#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

class Image : public ::testing::Test {
protected:
    Image() {
        EXPECT_TRUE(init_pki(pki_request(pki.path()), {meta_address()}));
        EXPECT_TRUE(issue_tenant(pki_request(pki.path()), {"tenant-a", "", ""}));
        put_file(pki.at("ipxe.efi"), fake_ipxe());
    }

    ImageRequest request() const {
        ImageRequest result;
        result.ipxe_files = {pki.at("ipxe.efi")};
        result.certificate_file = pki.at("tenant-a.pem");
        result.key_file = pki.at("tenant-a.key");
        result.root_file = pki.at("root.pem");
        result.server = {meta_address(), 443};
        result.now = ManualClock().system_now();
        return result;
    }

    Error failure_of(const ImageRequest& request) const {
        const auto report = make_images(request);
        EXPECT_FALSE(report);
        EXPECT_EQ(entries_of(out.path()), 0u) << "something is left";
        return report ? Error{} : report.error();
    }

    const TemporaryFolder pki;
    const TemporaryFolder out;
};

std::string file_in_esp(const std::string& image, std::uint64_t offset, const std::string& path,
                        const std::string& to) {
    const auto result = run_tool({"mcopy", "-n", "-i", image + "@@" + std::to_string(offset), "::/" + path, to},
                                 {"MTOOLSRC=/dev/null"});
    EXPECT_TRUE(result) << result.error().to_string();
    return get_file(to);
}

TEST_F(Image, SameInputsGiveTheSameBytes) {
    auto first = request();
    first.usb = out.at("a.img");
    first.iso = out.at("a.iso");
    auto second = request();
    second.usb = out.at("b.img");
    second.iso = out.at("b.iso");
    ASSERT_TRUE(make_images(first));
    // FAT keeps times in steps of two seconds, and GPT and ISO 9660 like random identifiers and today's date.
    const auto start = std::chrono::system_clock::now();
    while (std::chrono::system_clock::now() - start < std::chrono::milliseconds(2100)) {
        ASSERT_TRUE(make_images(second));
    }
    EXPECT_TRUE(get_file(first.usb) == get_file(second.usb));
    EXPECT_TRUE(get_file(first.iso) == get_file(second.iso));
}

TEST_F(Image, UsbImageHoldsIpxeAndTheScript) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    const auto report = make_images(wanted);
    ASSERT_TRUE(report) << report.error().to_string();
    ASSERT_EQ(report->outputs.size(), 1u);
    EXPECT_EQ(report->outputs[0].sha256, sha256_hex(get_file(wanted.usb)));
    EXPECT_EQ(report->tenant_subject, "CN=tenant-a.boot.example");
    EXPECT_EQ(report->ipxe_version, "2.0.0+dfsg-5");

    const auto root = parse_certificates(get_file(pki.at("root.pem"))).value().front();
    const auto tenant = parse_certificates(get_file(pki.at("tenant-a.pem"))).value().front();
    const std::string efi = file_in_esp(wanted.usb, 1 << 20, "EFI/BOOT/BOOTX64.EFI", out.at("efi"));
    EXPECT_EQ(efi, replace_trust_anchor(fake_ipxe(), root.sha256()).value());
    const std::string script = file_in_esp(wanted.usb, 1 << 20, "EFI/BOOT/autoexec.ipxe", out.at("script"));
    EXPECT_NE(script.find("set cert:hexraw " + to_hex(root.der) + "\nset cert:hexraw " + to_hex(tenant.der) +
                          "\nset privkey:hexraw "),
              std::string::npos);
}

TEST_F(Image, OutputsAreReadableByTheirOwnerAlone) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    wanted.iso = out.at("tenant.iso");
    wanted.efi_folder = out.at("efi");
    const auto report = make_images(wanted);
    ASSERT_TRUE(report) << report.error().to_string();
    ASSERT_EQ(report->outputs.size(), 4u);
    for (const ImageOutput& output : report->outputs) EXPECT_EQ(mode_of(output.path), 0600u) << output.path;
    EXPECT_EQ(entries_of(out.path()), 4u) << "work folders are left";
    EXPECT_EQ(get_file(wanted.iso + ".sha256"), sha256_hex(get_file(wanted.iso)) + "  tenant.iso\n");
    EXPECT_EQ(entries_of(wanted.efi_folder), 2u);
}

TEST_F(Image, ASecondRunReplacesTheFirst) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    put_file(wanted.usb, "old");
    ::chmod(wanted.usb.c_str(), 0644);
    ASSERT_TRUE(make_images(wanted));
    EXPECT_EQ(mode_of(wanted.usb), 0600u);
    EXPECT_GT(get_file(wanted.usb).size(), 3u);
}

TEST_F(Image, RefusesInputsThatDoNotFitTogether) {
    const TemporaryFolder other;
    ASSERT_TRUE(init_pki(pki_request(other.path()), {meta_address()}));
    auto wanted = request();
    wanted.usb = out.at("usb.img");

    auto foreign_root = wanted;
    foreign_root.root_file = other.at("root.pem");
    EXPECT_NE(failure_of(foreign_root).message.find("does not chain to the root"), std::string::npos);

    auto foreign_key = wanted;
    foreign_key.key_file = other.at("server.key");
    EXPECT_NE(failure_of(foreign_key).message.find("is not the key of the certificate"), std::string::npos);

    auto server_certificate = wanted;
    server_certificate.certificate_file = pki.at("server.pem");
    server_certificate.key_file = pki.at("server.key");
    EXPECT_NE(failure_of(server_certificate).message.find("clientAuth"), std::string::npos);

    auto late = wanted;
    late.now += std::chrono::hours(24 * 400);
    EXPECT_NE(failure_of(late).message.find("expired"), std::string::npos);

    auto two_roots = wanted;
    two_roots.root_file = pki.at("server.pem");
    EXPECT_NE(failure_of(two_roots).message.find("one trust anchor"), std::string::npos);
}

TEST_F(Image, RefusesAnIpxeThatCannotDoIt) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    put_file(pki.at("old.efi"), fake_ipxe("1.21.1+git20250501"));
    wanted.ipxe_files = {pki.at("old.efi")};
    EXPECT_NE(failure_of(wanted).message.find("RSA certificates only"), std::string::npos);
    wanted.ipxe_files = {pki.at("missing.efi")};
    const Error missing = failure_of(wanted);
    EXPECT_EQ(missing.code, Code::kNotFound);
    EXPECT_NE(missing.to_string().find("missing.efi"), std::string::npos);
}

TEST_F(Image, WarnsOfACertificateThatExpiresSoon) {
    auto wanted = request();
    wanted.efi_folder = out.at("efi");
    wanted.now += std::chrono::hours(24 * 350);
    const auto report = make_images(wanted);
    ASSERT_TRUE(report);
    ASSERT_EQ(report->warnings.size(), 1u);
    EXPECT_NE(report->warnings[0].find("expires on"), std::string::npos);
}

TEST_F(Image, AFileThatCannotBeWrittenLeavesTheOthersAlone) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    wanted.iso = out.at("no-such-folder/tenant.iso");
    put_file(wanted.usb, "old");
    const auto report = make_images(wanted);
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().context.find("no-such-folder"), std::string::npos) << report.error().to_string();
    EXPECT_EQ(get_file(wanted.usb), "old");
    EXPECT_EQ(entries_of(out.path()), 1u);
}

// A limit on file sizes is what a full disk looks like to write(2) and to the tools.
TEST_F(Image, RunningOutOfSpaceLeavesNothing) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1 << 20, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto report = make_images(wanted);
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(report);
    EXPECT_EQ(entries_of(out.path()), 0u);
}

TEST_F(Image, InspectTellsWhoseEachMediumIs) {
    auto wanted = request();
    wanted.usb = out.at("usb.img");
    wanted.iso = out.at("tenant.iso");
    wanted.efi_folder = out.at("efi");
    ASSERT_TRUE(make_images(wanted));
    const auto root = parse_certificates(get_file(pki.at("root.pem"))).value().front();
    for (const auto& [path, medium] :
         {std::pair(wanted.usb, "usb"), std::pair(wanted.iso, "iso"), std::pair(wanted.efi_folder, "efi"),
          std::pair(out.at("efi/BOOTX64.EFI"), "efi")}) {
        const auto facts = inspect_image(path);
        ASSERT_TRUE(facts) << facts.error().to_string();
        EXPECT_EQ(facts->medium, medium);
        EXPECT_FALSE(facts->bios);
        EXPECT_EQ(facts->tenant.subject, "CN=tenant-a.boot.example");
        EXPECT_EQ(facts->server, "[2001:db8:ffff::1]");
        EXPECT_EQ(facts->trust_anchor, to_hex(root.sha256()));
        EXPECT_EQ(facts->trust_anchor_subject, "CN=nett platform root");
        ASSERT_EQ(facts->binaries.size(), 1u);
        EXPECT_EQ(facts->binaries[0].version, "2.0.0+dfsg-5");
        EXPECT_FALSE(facts->binaries[0].is_signed);
    }
}

TEST_F(Image, InspectRefusesWhatIsNoTenantsImage) {
    put_file(out.at("text.img"), "no image\n");
    put_file(out.at("original.efi"), fake_ipxe());
    EXPECT_NE(inspect_image(out.at("text.img")).error().message.find("no boot medium"), std::string::npos);
    EXPECT_NE(inspect_image(out.at("original.efi")).error().message.find("as distributed"), std::string::npos);
    EXPECT_EQ(inspect_image(out.at("absent.img")).error().code, Code::kNotFound);
}

TEST_F(Image, OneMediumIsForBothArchitectures) {
    auto wanted = request();
    std::string arm = fake_ipxe();
    arm.replace(0x84, 2, "\x64\xaa");
    put_file(pki.at("arm.efi"), arm);
    wanted.ipxe_files.push_back(pki.at("arm.efi"));
    wanted.usb = out.at("usb.img");
    ASSERT_TRUE(make_images(wanted));
    const auto facts = inspect_image(wanted.usb);
    ASSERT_TRUE(facts);
    ASSERT_EQ(facts->binaries.size(), 2u);
    EXPECT_EQ(facts->binaries[1].name, "BOOTAA64.EFI");
    std::filesystem::remove(wanted.usb);
    wanted.ipxe_files.push_back(pki.at("ipxe.efi"));
    EXPECT_NE(failure_of(wanted).message.find("second iPXE for the same machines"), std::string::npos);
}

// iPXE's layout and variables with a Makefile that puts the inputs together instead of compiling.
void make_source_tree(const std::string& folder, const std::string& recipe) {
    std::filesystem::create_directories(folder + "/src/bin-x86_64-efi");
    put_file(folder + "/src/Makefile.housekeeping", "");
    put_file(folder + "/src/base.efi", fake_ipxe() + std::string("\0https\0\0ipv6\0", 13));
    put_file(folder + "/src/Makefile", "bin-x86_64-efi/ipxe.efi:\n\t" + recipe);
}
constexpr const char* kRecipe =
    "cp $(PRIVKEY) bin-x86_64-efi/.private_key.der; cp $(PRIVKEY) bin-x86_64-efi/blib.a; "
    "(cat base.efi $(EMBED); $(OPENSSL) x509 -in $(TRUST) -outform DER | $(OPENSSL) dgst -sha256 -binary; "
    "for file in $(subst $(COMMA), ,$(CERT)); do openssl x509 -in $$file -outform DER; done; "
    "$(OPENSSL) rsa -in $(PRIVKEY) -outform DER) >$@\nCOMMA := ,\n";

TEST_F(Image, FromASourceTreeNothingOfTheKeyStaysThere) {
    const TemporaryFolder tree;
    make_source_tree(tree.path(), kRecipe);
    auto wanted = request();
    wanted.ipxe_files.clear();
    wanted.source = SourceTree{tree.path(), {Architecture::kAmd64}, false};
    wanted.usb = out.at("usb.img");
    const auto report = make_images(wanted);
    ASSERT_TRUE(report) << report.error().to_string();
    const auto facts = inspect_image(wanted.usb);
    ASSERT_TRUE(facts) << facts.error().to_string();
    EXPECT_EQ(facts->tenant.subject, "CN=tenant-a.boot.example");
    EXPECT_EQ(facts->server, "[2001:db8:ffff::1]");
    EXPECT_EQ(entries_of(tree.at("src/bin-x86_64-efi")), 0u);
    EXPECT_FALSE(std::filesystem::exists(tree.at("src/.nett")));
    auto again = wanted;
    again.usb = out.at("again.img");
    ASSERT_TRUE(make_images(again));
    EXPECT_TRUE(get_file(wanted.usb) == get_file(again.usb));
}

TEST_F(Image, ASourceTreeThatCannotBeUsedIsExplained) {
    const TemporaryFolder tree;
    auto wanted = request();
    wanted.ipxe_files.clear();
    wanted.usb = out.at("usb.img");
    wanted.source = SourceTree{tree.path(), {Architecture::kAmd64}, false};
    EXPECT_EQ(failure_of(wanted).code, Code::kNotFound);
    make_source_tree(tree.path(), "echo no such header; false\n");
    EXPECT_NE(failure_of(wanted).message.find("no such header"), std::string::npos);
    make_source_tree(tree.path(), "cp base.efi $@\n");
    EXPECT_NE(failure_of(wanted).message.find("does not trust the root"), std::string::npos);
    put_file(tree.at("src/base.efi"), fake_ipxe());
    EXPECT_NE(failure_of(wanted).message.find("DOWNLOAD_PROTO_HTTPS"), std::string::npos);
}

TEST(Process, AMissingToolIsNamedWithItsPackage) {
    const auto result = run_tool({"no-such-tool"}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kFailedPrecondition);
    EXPECT_NE(result.error().message.find("no-such-tool is not installed"), std::string::npos);
}

TEST(Process, AFullFileSystemIsNamedAsSuch) {
    const TemporaryFolder folder;
    put_file(folder.at("file"), "x");
    const auto result = run_tool({"cp", folder.at("file"), "/dev/full"}, {"LC_ALL=C"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kResourceExhausted);
    EXPECT_NE(result.error().message.find("make room"), std::string::npos) << result.error().message;
}

TEST(Process, AFailingToolIsQuoted) {
    const auto result = run_tool({"mcopy", "-i", "/nonexistent/image", "::/a", "/dev/null"}, {"MTOOLSRC=/dev/null"});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("mcopy failed (exit status 1)"), std::string::npos) << result.error().message;
}

}  // namespace
}  // namespace nett::builder
