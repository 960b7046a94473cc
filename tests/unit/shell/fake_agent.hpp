// A management API that answers a few lines, for nettsh's tests.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "nett.grpc.pb.h"

namespace nett::test {

// Answers: "show …" says what it got, "fail" fails, "wait" waits until it is cancelled, "change" leaves a change that
// "logout" reports, "exit" leaves, "long N" says N lines.
class FakeAgent final : public v1::Shell::Service {
public:
    FakeAgent() {
        std::string name = (std::filesystem::temp_directory_path() / "nettsh-XXXXXX").string();
        folder_ = mkdtemp(name.data());
        grpc::ServerBuilder builder;
        builder.AddListeningPort("unix:" + socket(), grpc::InsecureServerCredentials());
        builder.RegisterService(this);
        server_ = builder.BuildAndStart();
    }
    ~FakeAgent() override {
        server_->Shutdown(std::chrono::system_clock::now());
        std::filesystem::remove_all(folder_);
    }

    std::string socket() const { return (folder_ / "s").string(); }
    std::string folder() const { return folder_.string(); }
    std::vector<std::string> lines() {
        const std::lock_guard lock(mutex_);
        return lines_;
    }
    grpc::Status Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                         grpc::ServerWriter<v1::ExecuteReply>* writer) override {
        v1::ExecuteReply last;
        last.set_done(true);
        last.set_prompt("fake# ");
        const auto& line = request->line();
        {
            const std::lock_guard lock(mutex_);
            lines_.push_back(line);
            if (line == "change") changed_config_ = true;
            if (line == "logout" && changed_config_) last.set_error("uncommitted changes were dropped");
        }
        if (line.starts_with("show"))
            say(*writer, request->json() ? "{\"line\": \"" + line + "\"}\n" : "got " + line + "\n");
        if (line.starts_with("long ")) {
            std::string text;
            for (int i = 0; i < std::stoi(line.substr(5)); ++i) text += "row " + std::to_string(i) + "\n";
            say(*writer, text);
        }
        if (line == "fail") last.set_error("it failed:\nbadly");
        if (line == "wait") wait(*context, *writer);
        last.set_exit(line == "exit" || line == "logout");
        writer->Write(last);
        return grpc::Status::OK;
    }

    grpc::Status Complete(grpc::ServerContext*, const v1::CompleteRequest* request, v1::CompleteReply* reply) override {
        const auto add = [&](const std::string& token, const std::string& help, bool insertable) {
            auto* added = reply->add_completions();
            added->set_token(token);
            added->set_help(help);
            added->set_insertable(insertable);
        };
        if (request->line() == "sh") add("show", "show things", true);
        if (request->line() == "show ") {
            add("machine", "one", true);
            add("machines", "all", true);
            add("<1-9>", "some", false);
        }
        return grpc::Status::OK;
    }

private:
    static void say(grpc::ServerWriter<v1::ExecuteReply>& writer, const std::string& text) {
        v1::ExecuteReply reply;
        reply.set_output(text);
        writer.Write(reply);
    }

    void wait(grpc::ServerContext& context, grpc::ServerWriter<v1::ExecuteReply>& writer) {
        say(writer, "waiting\n");
        // A synchronous server learns of a cancelled call by asking, or by writing to it.
        while (!context.IsCancelled()) std::this_thread::yield();
    }

    std::filesystem::path folder_;
    std::unique_ptr<grpc::Server> server_;
    std::mutex mutex_;
    std::vector<std::string> lines_;
    bool changed_config_ = false;
};

}  // namespace nett::test
