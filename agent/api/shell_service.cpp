#include "agent/api/shell_service.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

namespace nett {

namespace {

void set_action(const ClientAction& action, v1::ClientAction* out) {
    switch (action.kind) {
        case ClientAction::Kind::kSaveOutput:
            return out->set_save_output(action.file);
        case ClientAction::Kind::kSaveBackup: {
            auto* backup = out->mutable_save_backup();
            backup->set_file(action.file);
            backup->mutable_request()->set_artifacts(action.artifacts);
            backup->mutable_request()->set_secrets_key(true);
            return;
        }
        case ClientAction::Kind::kSaveTechSupport:
            return out->set_save_tech_support(action.file);
        case ClientAction::Kind::kTerminalLength:
            return out->set_terminal_length(action.length);
        case ClientAction::Kind::kMonitor:
            return out->set_monitor(action.line);
    }
}

v1::ExecuteReply to_proto(ShellReply reply) {
    v1::ExecuteReply out;
    if (reply.action) set_action(*reply.action, out.mutable_action());
    out.set_output(std::move(reply.output));
    out.set_error(std::move(reply.error));
    out.set_prompt(std::move(reply.prompt));
    out.set_done(reply.done);
    out.set_exit(reply.exit);
    return out;
}

}  // namespace

grpc::ServerWriteReactor<v1::ExecuteReply>* ShellService::Execute(grpc::CallbackServerContext* context,
                                                                  const v1::ExecuteRequest* request) {
    auto stream =
        Stream<v1::ExecuteReply>::make(api_.loop, api_.streams, "the output is read too slowly; run the command again");
    auto* reactor = stream.get();
    asio::post(api_.loop, [this, stream, caller = caller_of(api_, *context), session = request->session(),
                           line = request->line(), json = request->json(), interactive = request->interactive()] {
        auto reply = [stream](ShellReply part) { stream->write(to_proto(std::move(part))); };
        auto interrupted = [stream] { return stream->ended(); };
        const auto cancel = std::make_shared<asio::cancellation_signal>();
        // Not before OnCancel has marked the stream as ended.
        stream->on_cancel([loop = api_.loop, cancel] {
            asio::post(loop, [cancel] { cancel->emit(asio::cancellation_type::terminal); });
        });
        asio::co_spawn(
            api_.loop,
            shell_.execute(session, caller, line, json, std::move(reply), std::move(interrupted), interactive),
            asio::bind_cancellation_slot(cancel->slot(), [stream, cancel](const std::exception_ptr& error) {
                stream->finish(error ? status_of(error) : grpc::Status::OK);
            }));
    });
    return reactor;
}

grpc::ServerUnaryReactor* ShellService::Complete(grpc::CallbackServerContext* context,
                                                 const v1::CompleteRequest* request, v1::CompleteReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::CompleteReply>(
        api_, context, reply, [this, request, caller]() -> Awaitable<Result<v1::CompleteReply>> {
            const auto found = shell_.complete(request->session(), caller, request->line());
            v1::CompleteReply out;
            for (const auto& completion : found.completions) {
                auto* added = out.add_completions();
                added->set_token(completion.token);
                added->set_help(completion.help);
                added->set_insertable(completion.insertable);
            }
            out.set_complete(found.complete);
            co_return out;
        });
}

}  // namespace nett
