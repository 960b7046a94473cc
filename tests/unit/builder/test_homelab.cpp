#include <gtest/gtest.h>

#include "builder/file.hpp"
#include "builder/homelab.hpp"
#include "tests/unit/builder/support.hpp"

namespace nett::builder {
namespace {

HomelabRequest request_in(const TemporaryFolder& folder) {
    HomelabRequest request;
    request.output = folder.at("out");
    request.ipxe = folder.path();
    request.interface = "eth0";
    request.tenant = "home";
    request.network = *parse_homelab_network("192.168.0.0/24");
    request.server = *parse_homelab_server("192.168.0.66:8080");
    return request;
}

TEST(Homelab, WritesWhatDnsmasqAndTheFirmwareNeed) {
    const TemporaryFolder folder;
    put_file(folder.at("undionly.kpxe"), "bios");
    put_file(folder.at("ipxe-amd64.efi"), "efi");
    put_file(folder.at("ipxe-arm64.efi"), "arm");
    const auto report = write_homelab(request_in(folder)).value();
    EXPECT_TRUE(report.warnings.empty());
    EXPECT_EQ(report.files.size(), 5U);
    EXPECT_EQ(get_file(folder.at("out/tftp/talos/undionly.kpxe")), "bios");
    EXPECT_EQ(get_file(folder.at("out/tftp/talos/ipxe.efi")), "efi");
    EXPECT_EQ(get_file(folder.at("out/tftp/talos/ipxe-arm64.efi")), "arm");
    EXPECT_EQ(mode_of(folder.at("out/tftp/talos/ipxe.efi")), 0644U);
    const auto dnsmasq = get_file(folder.at("out/dnsmasq.conf"));
    for (const auto* line : {"\ninterface=eth0\n", "\ndhcp-range=192.168.0.0,proxy,255.255.255.0\n",
                             "\npxe-service=tag:!ipxe,x86PC,\"iPXE (BIOS)\",talos/undionly.kpxe\n",
                             "\npxe-service=tag:!ipxe,x86-64_EFI,\"iPXE (UEFI amd64)\",talos/ipxe.efi\n",
                             "\npxe-service=tag:ipxe,x86PC,\"Talos\",http://192.168.0.66:8080/talos/talos.ipxe\n"}) {
        EXPECT_NE(dnsmasq.find(line), std::string::npos) << line;
    }
    EXPECT_NE(dnsmasq.find("\ntftp-root=" + folder.at("out/tftp") + "\n"), std::string::npos);
    EXPECT_NE(get_file(folder.at("out/README.md")).find("homelab listen 192.168.0.66:8080"), std::string::npos);
}

TEST(Homelab, SaysWhichFirmwareGetsNoBootFile) {
    const TemporaryFolder folder;
    put_file(folder.at("ipxe.efi"), "efi");
    const auto report = write_homelab(request_in(folder)).value();
    ASSERT_EQ(report.warnings.size(), 2U);
    EXPECT_EQ(report.warnings[0], folder.path() + " has no undionly.kpxe: BIOS machines get no boot file");
    const auto dnsmasq = get_file(folder.at("out/dnsmasq.conf"));
    EXPECT_EQ(dnsmasq.find("undionly"), std::string::npos);
    // A network card with an iPXE of its own boots without ours.
    EXPECT_NE(dnsmasq.find("tag:ipxe,x86PC"), std::string::npos);
}

TEST(Homelab, WithoutBinariesNothingIsWritten) {
    const TemporaryFolder folder;
    const auto report = write_homelab(request_in(folder));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Code::kNotFound);
    EXPECT_FALSE(file_exists(folder.at("out")));
}

TEST(Homelab, TheListenerIsInTheNetwork) {
    const TemporaryFolder folder;
    put_file(folder.at("undionly.kpxe"), "bios");
    auto request = request_in(folder);
    request.server = *parse_homelab_server("192.168.1.66:8080");
    EXPECT_EQ(write_homelab(request).error().code, Code::kInvalidArgument);
}

TEST(Homelab, AnInterfaceCannotAddALineToTheConfiguration) {
    const TemporaryFolder folder;
    put_file(folder.at("undionly.kpxe"), "bios");
    auto request = request_in(folder);
    request.interface = "eth0\nconf-file=/x";
    EXPECT_EQ(write_homelab(request).error().code, Code::kInvalidArgument);
}

TEST(Homelab, NetworksAndServersAreIpv4) {
    for (const auto* text : {"192.168.0.1/24", "192.168.0.0", "10.0.0.0/8", "192.168.0.0/31", "fd00::/64", ""}) {
        EXPECT_FALSE(parse_homelab_network(text)) << text;
    }
    for (const auto* text :
         {"192.168.0.66", "192.168.0.66:0", "0.0.0.0:80", "127.0.0.1:80", "[fd00::1]:80", "home:80", ":80"}) {
        EXPECT_FALSE(parse_homelab_server(text)) << text;
    }
}

}  // namespace
}  // namespace nett::builder
