#include <fstream>

#include <gtest/gtest.h>
#include <boost/json/parse.hpp>

#include "agent/sdk/strings.hpp"
#include "builder/nodes/nodes_file.hpp"
#include "builder/talos/node_config.hpp"

namespace nett::builder {
namespace {

std::string problems_of(std::string_view text) {
    Problems problems;
    parse_nodes(text, "dir/nodes.yaml", problems);
    std::string out;
    for (const Error& error : problems.errors("nodes.yaml")) out += error.to_string() + "\n";
    return out;
}

constexpr std::string_view kGood = R"(tenants:
  - name: tenant-a
    common-names: tenant-a.boot.example
    image: {certificate: pki/a.pem, key: pki/a.key, root: /root.pem}
    talos: {controlplane: cp.yaml, worker: w.yaml, version: v1.13.9, links: [eth0, eth1]}
artifacts:
  - {name: talos, version: v1.13.9, kernel: vmlinuz, initramfs: initramfs.xz, command-line: pti=on}
nodes:
  - name: node-1
    role: controlplane
    uuid: 4C4C4544-0042-3510-8054-B7C04F4E3132
    port: tor-a/swp1=2001:db8:b000::/64
    artifact-set: talos
    production: {static: "2001:db8:c0de::1/128"}
    bmc: {endpoint: "https://[2001:db8:bc::1]", username: admin, password: {env: BMC}}
  - name: node-2
    role: worker
    mac: [52-54-00-6e-10-01, 5254.006e.1002]
    talos: {install-disk: /dev/vda, patches: [p.yaml, {machine: {a: b}}]}
)";

TEST(NodesFile, IsReadWithItsPathsAndCanonicalValues) {
    Problems problems;
    const NodesFile file = parse_nodes(kGood, "dir/nodes.yaml", problems);
    ASSERT_TRUE(problems.empty()) << problems_of(kGood);
    ASSERT_EQ(file.nodes.size(), 2U);
    EXPECT_EQ(file.nodes[0].tenant, "tenant-a");
    EXPECT_EQ(file.nodes[0].uuid, "4c4c4544-0042-3510-8054-b7c04f4e3132");
    EXPECT_EQ(file.nodes[1].macs, (std::vector<std::string>{"52:54:00:6e:10:01", "52:54:00:6e:10:02"}));
    EXPECT_EQ(file.nodes[0].boot, BootWay::kRedfish);
    EXPECT_EQ(file.nodes[1].boot, BootWay::kUsb);
    EXPECT_EQ(file.tenants[0].image->certificate, "dir/pki/a.pem");
    EXPECT_EQ(file.tenants[0].image->root, "/root.pem");
    const TalosSettings settings = effective_talos(file, file.nodes[1]);
    EXPECT_EQ(settings.worker, "dir/w.yaml");
    EXPECT_EQ(settings.install_disk, "/dev/vda");
    ASSERT_EQ(settings.patches.size(), 2U);
    EXPECT_EQ(settings.patches[0].file, "dir/p.yaml");
    EXPECT_NE(settings.patches[1].text.find("a: b"), std::string::npos);
}

TEST(NodesFile, EverythingThatIsWrongIsToldAtOnceWithItsLine) {
    EXPECT_EQ(
        problems_of("tenants:\n  - name: A\n    common-names: a\nnodes:\n  - name: node-1\n    tenant: b\n    mac: "
                    "xx\n    colour: red\n"),
        R"(nodes.yaml:2: "A" is no name: use 1 to 63 lower-case letters, digits, '-' and '.', starting with a letter or a digit
nodes.yaml:6: there is no tenant "b" in this file
nodes.yaml:7: "xx" is not a MAC address; write e.g. 52:54:00:12:34:56
nodes.yaml:8: a node has no "colour"; it has name, tenant, uuid, mac, serial, port, role, profile, artifact-set, kernel-args, delivery, production, bmc, boot, config, talos
)");
}

TEST(NodesFile, TheSchemaAndTheParserKnowTheSameKeys) {
    const auto schema = boost::json::parse(nodes_schema());
    const auto& definitions = schema.at("$defs").as_object();
    for (const auto& [object, keys] : nodes_file_keys()) {
        ASSERT_TRUE(definitions.contains(object)) << object;
        const auto& definition = definitions.at(object).as_object();
        EXPECT_EQ(definition.at("additionalProperties"), false) << object;
        const auto& properties = definition.at("properties").as_object();
        for (const std::string_view key : keys) EXPECT_TRUE(properties.contains(key)) << object << " " << key;
        EXPECT_EQ(properties.size(), keys.size()) << object;
    }
}

TEST(NodesFile, NumbersOfANodeComeFromItsNameAndStay) {
    NodeEntry node;
    node.name = "node-1";
    const TalosSettings none;
    EXPECT_EQ(asn_of(node, none), asn_of(node, none));
    EXPECT_GE(asn_of(node, none), 4'200'000'000U);
    EXPECT_EQ(router_id_of(node, none).substr(0, 3), "10.");
    NodeEntry other;
    other.name = "node-2";
    EXPECT_NE(asn_of(node, none), asn_of(other, none));
}

TEST(NodesFile, TalosVersionsBefore112AreRefused) {
    EXPECT_EQ(parse_talos_version("v1.13.9")->minor, 13U);
    EXPECT_EQ(parse_talos_version("1.14.0-rc.1")->minor, 14U);
    EXPECT_EQ(parse_talos_version("v1.14-dev")->minor, 14U);
    for (const char* bad : {"", "v1", "latest", "v1.11.5", "v.."}) EXPECT_FALSE(parse_talos_version(bad)) << bad;
}

}  // namespace
}  // namespace nett::builder
