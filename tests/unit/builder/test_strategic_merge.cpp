#include <gtest/gtest.h>

#include "builder/talos/strategic_merge.hpp"

namespace nett::builder {
namespace {

// A base as talosctl writes it: comments above, behind and inside.
constexpr std::string_view kBase = R"(version: v1alpha1 # Indicates the schema used.
# Machine things.
machine:
    type: worker # Defines the role.
    kubelet:
        image: kubelet:v1.34.1 # The image.
        # # Extra arguments.
        # extraArgs:
        #     key: value
    # Network.
    network: {}
    # # Interfaces are commented out.
    # sysctls: {}
cluster:
    network:
        podSubnets:
            - 10.244.0.0/16
        # Services.
        serviceSubnets:
            - 10.96.0.0/12
    apiServer:
        certSANs:
            - a
        admissionControl:
            - name: PodSecurity # Name is the name.
              configuration:
                  defaults: {}
    text: |
        first
        # no comment
---
# The host's name.
apiVersion: v1alpha1
kind: HostnameConfig
auto: stable # Automatic.
---
apiVersion: example/v1
kind: Unknown
odd:   [ a,  b ]   # kept
)";

std::string merged(std::string_view patch, std::string_view base = kBase) {
    const auto result = strategic_merge(base, patch);
    EXPECT_TRUE(result) << result.error().to_string();
    return result.value_or("");
}

std::string replaced(std::string_view before, std::string_view after) {
    std::string text(kBase);
    const auto at = text.find(before);
    EXPECT_NE(at, std::string::npos) << before;
    return text.replace(at, before.size(), after);
}

TEST(StrategicMerge, NothingChangesNothing) {
    EXPECT_EQ(merged(""), kBase);
    EXPECT_EQ(merged("# only a comment\n"), kBase);
    EXPECT_EQ(merged("machine:\n    type:\n"), kBase);
}

TEST(StrategicMerge, AScalarIsReplacedInItsPlaceAndItsCommentStays) {
    EXPECT_EQ(merged("machine:\n  type: controlplane\n"), replaced("type: worker #", "type: controlplane #"));
    EXPECT_EQ(merged("machine: {kubelet: {image: \"kubelet:v2\"}}"),
              replaced("image: kubelet:v1.34.1 #", "image: \"kubelet:v2\" #"));
}

TEST(StrategicMerge, ANewKeyGoesBehindTheOthers) {
    EXPECT_EQ(merged("machine:\n  kubelet:\n    clusterDNS: [fd00::a]\n"),
              replaced("# The image.\n", "# The image.\n        clusterDNS:\n            - fd00::a\n"));
    EXPECT_EQ(
        merged("machine:\n  sysctls:\n    net/ipv6/conf/eth0/accept_ra: \"0\"\n"),
        replaced("    network: {}\n", "    network: {}\n    sysctls:\n        net/ipv6/conf/eth0/accept_ra: \"0\"\n"));
}

TEST(StrategicMerge, AnEmptyCollectionIsFilled) {
    EXPECT_EQ(merged("machine:\n  network:\n    interfaces:\n      - interface: eth0\n        mtu: 9000\n"),
              replaced("    network: {}\n",
                       "    network:\n        interfaces:\n            - interface: eth0\n              mtu: 9000\n"));
}

TEST(StrategicMerge, ListsAreAppendedToButForSubnets) {
    EXPECT_EQ(merged("cluster:\n  apiServer:\n    certSANs: [b, c]\n"),
              replaced("            - a\n", "            - a\n            - b\n            - c\n"));
    EXPECT_EQ(merged("cluster:\n  network:\n    podSubnets: [\"fd00:10::/56\"]\n"),
              replaced("            - 10.244.0.0/16\n", "            - \"fd00:10::/56\"\n"));
}

TEST(StrategicMerge, ItemsWithAKeyAreMerged) {
    EXPECT_EQ(
        merged("cluster:\n  apiServer:\n    admissionControl:\n      - name: PodSecurity\n        configuration: "
               "{kind: X}\n"),
        replaced("                  defaults: {}\n", "                  defaults: {}\n                  kind: X\n"));
    EXPECT_EQ(
        merged("cluster:\n  apiServer:\n    admissionControl:\n      - name: Other\n"),
        replaced("                  defaults: {}\n", "                  defaults: {}\n            - name: Other\n"));
}

TEST(StrategicMerge, DocumentsAreMatchedByKindAndNameAndElseAppended) {
    EXPECT_EQ(merged("apiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: node-1\n"),
              replaced("auto: stable # Automatic.\n", "auto: \"off\" # Automatic.\nhostname: node-1\n"));
    const std::string link = "apiVersion: v1alpha1\nkind: LinkConfig\nname: lo # loopback\n";
    EXPECT_EQ(merged(link), std::string(kBase) + "---\n" + link);
    EXPECT_EQ(merged("---\n" + link + "mtu: 9\n", merged(link)), std::string(kBase) + "---\n" + link + "mtu: 9\n");
}

TEST(StrategicMerge, KeysItemsAndDocumentsAreDeleted) {
    EXPECT_EQ(
        merged("machine:\n  kubelet:\n    $patch: delete\n"),
        replaced("    kubelet:\n        image: kubelet:v1.34.1 # The image.\n        # # Extra arguments.\n        # "
                 "extraArgs:\n        #     key: value\n",
                 ""));
    EXPECT_EQ(
        merged("cluster:\n  apiServer:\n    admissionControl:\n      - name: PodSecurity\n        $patch: delete\n"),
        replaced("        admissionControl:\n            - name: PodSecurity # Name is the name.\n              "
                 "configuration:\n                  defaults: {}\n",
                 "        admissionControl: []\n"));
    EXPECT_EQ(
        merged("apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n"),
        replaced("---\n# The host's name.\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable # Automatic.\n",
                 ""));
}

TEST(StrategicMerge, DeletingComesBeforeTheRestOfTheDocument) {
    EXPECT_EQ(merged("cluster:\n  apiServer:\n    certSANs:\n      $patch: delete\n  text: new\n"), [] {
        std::string text = replaced("        certSANs:\n            - a\n", "");
        const std::string old = "    text: |\n        first\n        # no comment\n";
        return text.replace(text.find(old), old.size(), "    text: new\n");
    }());
}

TEST(StrategicMerge, ZeroValuesChangeNothingButFalseDoes) {
    const std::string base = "machine:\n  a: 5\n  b: true\n  c: text\n";
    EXPECT_EQ(merged("machine: {a: 0, c: \"\"}", base), base);
    EXPECT_EQ(merged("machine: {b: false}", base), "machine:\n  a: 5\n  b: false\n  c: text\n");
}

TEST(StrategicMerge, FlowCollectionsAreWrittenAsBlocksWhereTheyChange) {
    EXPECT_EQ(merged("machine: {n: {b: 2}}", "machine: {n: {a: 1}}\n"),
              "machine:\n    n:\n        a: 1\n        b: 2\n");
}

TEST(StrategicMerge, WhatCannotBeDoneIsSaidWithItsLine) {
    const auto message = [](std::string_view patch) {
        const auto result = strategic_merge(kBase, patch);
        return result ? std::string("done") : result.error().to_string();
    };
    EXPECT_EQ(message("machine:\n  nothing:\n    $patch: delete\n"),
              "v1alpha1: line 2: there is no machine.nothing to delete");
    EXPECT_EQ(message("machine:\n  type:\n    a: b\n"),
              "v1alpha1: line 3: machine.type is a value or a list in the config, and a mapping in the patch");
    EXPECT_NE(message("machine: [").find("patch: in the document that begins at line 1: line"), std::string::npos);
    EXPECT_NE(message("- op: add\n").find("JSON patches"), std::string::npos);
}

}  // namespace
}  // namespace nett::builder
