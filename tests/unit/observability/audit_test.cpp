#include <gtest/gtest.h>

#include "agent/api/audit.hpp"
#include "agent/core/audit/audit.hpp"
#include "nett.pb.h"

namespace nett {
namespace {

TEST(AuditLine, IsOneJsonObject) {
    const AuditEntry entry{"unix:root", "admin", "shell", "machine m lock\nsecond", "OK", ""};
    EXPECT_EQ(format_audit_line(entry, SystemTime(std::chrono::seconds(1'700'000'000))),
              R"({"time":"2023-11-14T22:13:20.000Z","who":"unix:root","role":"admin","what":"shell",)"
              R"("detail":"machine m lock\nsecond","result":"OK"})");
}

TEST(AuditLine, LeavesSecretsOfTheShellOut) {
    EXPECT_EQ(redact_line("machine m lock"), "machine m lock");
    EXPECT_EQ(redact_line("x password hunter2 y"), "x password *** y");
    EXPECT_EQ(redact_line("x Token  hunter2"), "x Token  ***");
    EXPECT_EQ(redact_line("webhook a secret file /etc/nett/s"), "webhook a secret file /etc/nett/s");
    EXPECT_EQ(redact_line("machine provision m image-url https://u:p@[2001:db8::1]/t0ken/n.iso?q=1"),
              "machine provision m image-url https://[2001:db8::1]/…");
    EXPECT_EQ(redact_line("webhook a url https://u:p@noc.example"), "webhook a url https://noc.example");
}

TEST(AuditText, ShowsNamesAndHidesEverythingElse) {
    v1::PutMachineRequest request;
    request.mutable_machine()->set_name("node-1");
    request.mutable_machine()->set_tenant("t");
    request.mutable_machine()->add_macs("52:54:00:00:00:01");
    request.mutable_machine()->set_kernel_args("talos.config=https://x/?token=hunter2");
    request.mutable_machine()->set_locked(true);
    request.set_config("machine:\n  token: hunter2\n");
    request.set_reason("new rack");
    const auto text = audit_text(request);
    EXPECT_NE(text.find("name: node-1 tenant: t"), std::string::npos) << text;
    EXPECT_NE(text.find("macs: 52:54:00:00:00:01"), std::string::npos) << text;
    EXPECT_NE(text.find("locked: true"), std::string::npos) << text;
    EXPECT_NE(text.find("reason: new rack"), std::string::npos) << text;
    EXPECT_NE(text.find("config: (26 bytes)"), std::string::npos) << text;
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
}

TEST(AuditText, HidesPasswordsParametersAndUploads) {
    v1::PutBmcRequest bmc;
    bmc.mutable_bmc()->set_name("b");
    bmc.set_password("hunter2");
    v1::CreateJobRequest job;
    job.set_type("provision");
    (*job.mutable_parameters())["image-url"] = "https://x/hunter2/n.iso";
    v1::UploadRequest upload;
    upload.set_chunk("hunter2");
    for (const google::protobuf::Message* one :
         std::initializer_list<const google::protobuf::Message*>{&bmc, &job, &upload}) {
        EXPECT_EQ(audit_text(*one).find("hunter2"), std::string::npos) << audit_text(*one);
    }
    EXPECT_NE(audit_text(job).find("type: provision"), std::string::npos);
}

TEST(AuditText, CutsLongLists) {
    v1::ApplyRequest request;
    for (int i = 0; i < 100; ++i) request.add_mutations()->mutable_set_machine_lock()->set_name("m");
    const auto text = audit_text(request);
    EXPECT_NE(text.find("… 84 more"), std::string::npos) << text;
}

TEST(AuditedMethods, AreThoseThatChange) {
    for (const auto* method : {"/nett.v1.Inventory/PutMachine", "/nett.v1.Inventory/Apply", "/nett.v1.Jobs/CreateJob",
                               "/nett.v1.Artifacts/Upload", "/nett.v1.System/Backup", "/nett.v1.New/Unheard"}) {
        EXPECT_TRUE(is_audited(method)) << method;
    }
    for (const auto* method : {"/nett.v1.Inventory/ListMachines", "/nett.v1.Inventory/Plan", "/nett.v1.Shell/Execute",
                               "/nett.v1.System/GetHealth", "/nett.v1.Fabric/Report",
                               "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
        EXPECT_FALSE(is_audited(method)) << method;
    }
}

}  // namespace
}  // namespace nett
