#include "agent/cli/client.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "agent/cli/saved_file.hpp"
#include "nett.grpc.pb.h"

namespace nett::cli {

namespace {

constexpr auto kCompletionTime = std::chrono::seconds(2);  // a key press waits no longer

std::string unreachable(const std::string& socket, int number) {
    switch (number) {
        case ENOENT:
        case ECONNREFUSED:
            return fmt::format(
                "no agent listens at {}; start it with \"systemctl start nettd\", or name its socket with --socket",
                socket);
        case EACCES:
            return fmt::format("you may not use {}; run nettsh as root or join the socket's group", socket);
        default:
            return fmt::format("cannot connect to {}: {}", socket, std::strerror(number));
    }
}

// gRPC retries silently and reports little; one plain connect tells what is wrong.
tl::expected<void, std::string> probe(const std::string& socket) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof(address.sun_path)) {
        return tl::unexpected(
            fmt::format("the socket's path is longer than {} bytes: {}", sizeof(address.sun_path) - 1, socket));
    }
    std::memcpy(address.sun_path, socket.data(), socket.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return tl::unexpected(unreachable(socket, errno));
    const int connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int number = errno;
    close(fd);
    if (connected != 0) return tl::unexpected(unreachable(socket, number));
    return {};
}

// 128 random bits: nobody else's session is met by accident.
tl::expected<std::string, std::string> random_name() {
    std::uint64_t bits[2] = {};
    if (getrandom(bits, sizeof(bits), 0) != static_cast<ssize_t>(sizeof(bits))) {
        return tl::unexpected(fmt::format("no random numbers: {}", std::strerror(errno)));
    }
    return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

std::string explain(const grpc::Status& status, const std::string& socket, bool remote) {
    switch (status.error_code()) {
        case grpc::StatusCode::UNAVAILABLE:
            if (remote) {
                return fmt::format(
                    "the agent at {} does not answer ({}); it needs \"api listen\" there, and both sides the other's "
                    "CA",
                    socket, status.error_message());
            }
            return fmt::format("the agent at {} does not answer; see \"systemctl status nettd\"", socket);
        case grpc::StatusCode::CANCELLED:
            return "interrupted; a change that the agent had begun is finished";
        case grpc::StatusCode::UNIMPLEMENTED:
            return fmt::format("what listens at {} is not nettd, or another version of it", socket);
        default:
            return status.error_message();
    }
}

// Inside of a JSON string.
std::string json_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    return out;
}

grpc::ChannelArguments channel_arguments() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // A show of a large fabric is one message.
    arguments.SetMaxReceiveMessageSize(-1);
    return arguments;
}

tl::expected<std::shared_ptr<grpc::Channel>, std::string> channel_to_socket(const std::string& socket) {
    if (auto reached = probe(socket); !reached) return tl::unexpected(std::move(reached.error()));
    return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), channel_arguments());
}

tl::expected<std::string, std::string> read_pem(const std::string& path, const char* option) {
    if (path.empty()) return tl::unexpected(fmt::format("--server needs {}: it is mutual TLS", option));
    std::ifstream in(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in || text.empty()) return tl::unexpected(fmt::format("cannot read {}", path));
    return text;
}

tl::expected<std::shared_ptr<grpc::Channel>, std::string> channel_to_server(const Target& target) {
    grpc::SslCredentialsOptions options;
    auto certificate = read_pem(target.certificate, "--certificate");
    auto key = read_pem(target.private_key, "--private-key");
    auto ca = read_pem(target.ca, "--ca");
    for (auto* text : {&certificate, &key, &ca}) {
        if (!*text) return tl::unexpected(std::move(text->error()));
    }
    options.pem_cert_chain = std::move(*certificate);
    options.pem_private_key = std::move(*key);
    options.pem_root_certs = std::move(*ca);
    auto arguments = channel_arguments();
    if (!target.server_name.empty()) arguments.SetSslTargetNameOverride(target.server_name);
    return grpc::CreateCustomChannel("ipv6:" + target.server, grpc::SslCredentials(options), arguments);
}

}  // namespace

struct Client::Impl {
    bool remote = false;
    std::string socket;
    std::string session;
    std::unique_ptr<v1::Shell::Stub> stub;
    std::unique_ptr<v1::System::Stub> system;
    RunningCall running;  // of the line that runs

    std::string save_archive(const v1::ClientAction& action, SavedFile& file);
    std::string act(const v1::ClientAction& action, const std::string& text, bool json,
                    const std::function<void(const std::string&)>& output);
};

// The error, or nothing.
std::string Client::Impl::save_archive(const v1::ClientAction& action, SavedFile& file) {
    grpc::ClientContext context;
    running.begin(context);
    auto reader = action.has_save_backup() ? system->Backup(&context, action.save_backup().request())
                                           : system->TechSupport(&context, v1::TechSupportRequest());
    v1::BackupChunk chunk;
    std::string error;
    while (error.empty() && reader->Read(&chunk)) {
        if (auto written = file.write(chunk.data()); !written) error = std::move(written.error());
    }
    if (!error.empty()) context.TryCancel();
    const auto status = reader->Finish();
    running.end();
    if (!error.empty()) return error;
    if (status.error_code() == grpc::StatusCode::CANCELLED) return "interrupted; nothing was saved";
    return status.ok() ? std::string() : explain(status, socket, remote);
}

// Does what the agent asked for. The error, or nothing.
std::string Client::Impl::act(const v1::ClientAction& action, const std::string& text, bool json,
                              const std::function<void(const std::string&)>& output) {
    const auto path = action.has_save_backup()                                     ? action.save_backup().file()
                      : action.action_case() == v1::ClientAction::kSaveTechSupport ? action.save_tech_support()
                                                                                   : action.save_output();
    auto file = SavedFile::begin(path);
    if (!file) return std::move(file.error());
    if (action.action_case() == v1::ClientAction::kSaveOutput) {
        if (auto written = file->write(text); !written) return std::move(written.error());
    } else if (auto error = save_archive(action, *file); !error.empty()) {
        return error;
    }
    if (auto finished = file->finish(); !finished) return std::move(finished.error());
    output(json ? fmt::format("{{\n  \"file\": \"{}\",\n  \"bytes\": {}\n}}\n", json_text(path), file->size())
                : fmt::format("Saved to {}, {} bytes.\n", path, file->size()));
    return {};
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client::~Client() = default;

tl::expected<Client, std::string> Client::connect(const Target& target) {
    auto channel = target.server.empty() ? channel_to_socket(target.socket) : channel_to_server(target);
    if (!channel) return tl::unexpected(std::move(channel.error()));
    auto name = random_name();
    if (!name) return tl::unexpected(std::move(name.error()));
    auto impl = std::make_unique<Impl>();
    impl->socket = target.server.empty() ? target.socket : target.server;
    impl->remote = !target.server.empty();
    impl->session = std::move(*name);
    impl->stub = v1::Shell::NewStub(*channel);
    impl->system = v1::System::NewStub(*channel);
    return Client(std::move(impl));
}

Answer Client::execute(const std::string& line, bool json, const std::function<void(const std::string&)>& output,
                       bool interactive) {
    grpc::ClientContext context;
    v1::ExecuteRequest request;
    request.set_session(impl_->session);
    request.set_line(line);
    request.set_json(json);
    request.set_interactive(interactive);
    impl_->running.begin(context);
    auto reader = impl_->stub->Execute(&context, request);
    Answer answer;
    v1::ExecuteReply reply;
    v1::ClientAction action;
    std::string saved;
    while (reader->Read(&reply)) {
        if (reply.has_action()) action = reply.action();
        if (action.action_case() == v1::ClientAction::kSaveOutput) {
            saved += reply.output();
        } else if (!reply.output().empty()) {
            output(reply.output());
        }
        if (!reply.done()) continue;
        answer.error = reply.error();
        answer.prompt = reply.prompt();
        answer.left = reply.exit();
    }
    const auto status = reader->Finish();
    impl_->running.end();
    if (!status.ok()) {
        answer.error = explain(status, impl_->socket, impl_->remote);
        answer.unreachable = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                             status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
    }
    if (!answer.error.empty()) return answer;
    switch (action.action_case()) {
        case v1::ClientAction::ACTION_NOT_SET:
            break;
        case v1::ClientAction::kTerminalLength:
            answer.terminal_length = action.terminal_length();
            break;
        case v1::ClientAction::kMonitor:
            answer.monitor = action.monitor();
            break;
        default:
            answer.error = impl_->act(action, saved, json, output);
    }
    return answer;
}

Suggestions Client::complete(const std::string& line) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCompletionTime);
    v1::CompleteRequest request;
    request.set_session(impl_->session);
    request.set_line(line);
    v1::CompleteReply reply;
    Suggestions suggestions;
    if (!impl_->stub->Complete(&context, request, &reply).ok()) return suggestions;
    for (const auto& completion : reply.completions()) {
        suggestions.list.push_back({completion.token(), completion.help(), completion.insertable()});
    }
    suggestions.complete = reply.complete();
    return suggestions;
}

std::string Client::follow(const std::string& line, bool json, const std::function<void(const std::string&)>& output,
                           RunningCall& call) const {
    const auto name = random_name();
    if (!name) return name.error();
    grpc::ClientContext context;
    v1::ExecuteRequest request;
    request.set_session(*name);
    request.set_line(line);
    request.set_json(json);
    if (!call.begin(context)) return {};
    const auto reader = impl_->stub->Execute(&context, request);
    v1::ExecuteReply reply;
    std::string error;
    while (reader->Read(&reply)) {
        if (!reply.output().empty()) output(reply.output());
        if (!reply.error().empty()) error = reply.error();
    }
    const auto status = reader->Finish();
    call.end();
    if (status.error_code() == grpc::StatusCode::CANCELLED) return {};
    if (!status.ok()) return explain(status, impl_->socket, impl_->remote);
    return error.empty() ? "the agent ended it" : error;
}

bool Client::interrupt() {
    return impl_->running.cancel();
}

bool RunningCall::cancel(bool for_good) {
    const std::lock_guard lock(mutex_);
    closed_ = closed_ || for_good;
    if (context_ == nullptr) return false;
    context_->TryCancel();
    return true;
}

bool RunningCall::begin(grpc::ClientContext& context) {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    context_ = &context;
    return true;
}

void RunningCall::end() {
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
}

}  // namespace nett::cli
