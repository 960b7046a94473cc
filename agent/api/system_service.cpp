#include "agent/api/system_service.hpp"

#include <algorithm>

#include "agent/api/time.hpp"

namespace nett {

namespace {

v1::Event to_proto(const Event& event) {
    v1::Event out;
    out.set_sequence(event.sequence);
    out.set_type(event.type);
    out.set_subject(event.subject);
    out.set_message(event.message);
    for (const auto& [key, value] : event.fields) (*out.mutable_fields())[key] = value;
    set_timestamp(event.time, out.mutable_time());
    return out;
}

v1::Health to_proto(const std::vector<HealthCondition>& conditions) {
    v1::Health out;
    HealthState worst = HealthState::kOk;
    for (const auto& condition : conditions) {
        worst = std::max(worst, condition.state);
        auto* added = out.add_conditions();
        added->set_component(condition.component);
        added->set_name(condition.name);
        added->set_scope(std::string(to_string(condition.scope)));
        added->set_state(std::string(to_string(condition.state)));
        added->set_message(condition.message);
        added->set_remedy(condition.remedy);
        set_timestamp(condition.since, added->mutable_since());
    }
    out.set_state(std::string(to_string(worst)));
    return out;
}

}  // namespace

grpc::ServerUnaryReactor* SystemService::GetVersion(grpc::CallbackServerContext* context, const v1::GetVersionRequest*,
                                                    v1::Version* reply) {
    return answer<v1::Version>(api_, context, reply, [this]() -> Awaitable<Result<v1::Version>> {
        v1::Version out;
        out.set_version(version_.version);
        out.set_build_id(version_.build_id);
        out.set_hostname(version_.hostname);
        for (const auto& plugin : version_.plugins) out.add_plugins(plugin);
        co_return out;
    });
}

grpc::ServerUnaryReactor* SystemService::GetHealth(grpc::CallbackServerContext* context, const v1::GetHealthRequest*,
                                                   v1::Health* reply) {
    return answer<v1::Health>(api_, context, reply,
                              [this]() -> Awaitable<Result<v1::Health>> { co_return to_proto(health_.conditions()); });
}

grpc::ServerWriteReactor<v1::Event>* SystemService::StreamEvents(grpc::CallbackServerContext*,
                                                                 const v1::StreamEventsRequest* request) {
    auto stream = Stream<v1::Event>::make(api_.loop, api_.streams, "events are read too slowly; subscribe again");
    auto* reactor = stream.get();
    asio::post(api_.loop, [this, stream, type_prefix = request->type_prefix()] {
        auto subscription = std::make_shared<Subscription>(
            events_.subscribe(type_prefix, [stream](const Event& event) { stream->write(to_proto(event)); }));
        stream->open();
        stream->on_cancel([subscription] { subscription->reset(); });
    });
    return reactor;
}

grpc::ServerWriteReactor<v1::BackupChunk>* SystemService::Backup(grpc::CallbackServerContext* context,
                                                                 const v1::BackupRequest* request) {
    const BackupOptions options{request->artifacts(), request->secrets_key()};
    return archives_.start(
        api_, [this, options, caller = caller_of(api_, *context)]() -> Awaitable<Result<ArchiveWork>> {
            if (!sources_.backup) co_return fail(Code::kUnimplemented, "this agent has nothing to back up");
            // It may carry every secret, so it is told.
            log_.info("a backup is taken", {{"actor", caller.actor}, {"key", options.secrets_key ? "yes" : "no"}});
            ArchiveWork work = [source = sources_.backup(), options](ByteSink sink) {
                return write_backup(source, options, std::chrono::system_clock::now(), std::move(sink));
            };
            co_return work;
        });
}

grpc::ServerWriteReactor<v1::BackupChunk>* SystemService::TechSupport(grpc::CallbackServerContext*,
                                                                      const v1::TechSupportRequest*) {
    return archives_.start(api_, [this]() -> Awaitable<Result<ArchiveWork>> {
        if (!sources_.support) co_return fail(Code::kUnimplemented, "this agent has nothing to show");
        auto collected = sources_.support();
        auto files = co_await std::move(collected);
        ArchiveWork work = [files = std::move(files)](ByteSink sink) {
            return write_support_archive(files, std::chrono::system_clock::now(), std::move(sink));
        };
        co_return work;
    });
}

}  // namespace nett
