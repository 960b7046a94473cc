#include "agent/api/audit.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include "agent/api/call.hpp"
#include "agent/sdk/redact.hpp"

namespace nett {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

constexpr std::string_view kService = "/nett.v1.";
constexpr std::size_t kMaxText = 200;  // of one field: names and reasons are short
constexpr int kMaxItems = 16;          // of a repeated field
constexpr int kMaxDepth = 6;           // of messages in messages; the deepest request has 4

// Names of fields whose texts are names, addresses or words, and never secret.
constexpr std::array<std::string_view, 37> kShown{
    "name",        "tenant",       "machine",      "uuid",      "macs",   "serial", "profile",    "bmc",
    "endpoint",    "username",     "artifact_set", "set",       "id",     "type",   "reason",     "sha256",
    "arch",        "architecture", "version",      "schematic", "prefix", "pool",   "port",       "ports",
    "common_name", "common_names", "sources",      "source",    "system", "action", "production", "proof",
    "erase_set",   "rescue_set",   "system_path",  "vendor",    "boot_id"};

void add_field(const Message& message, const FieldDescriptor& field, int index, int depth, std::string& out);

void add_text(const std::string& value, const FieldDescriptor& field, std::string& out) {
    const bool shown = std::find(kShown.begin(), kShown.end(), std::string_view(field.name())) != kShown.end();
    if (field.type() == FieldDescriptor::TYPE_BYTES || !shown || value.size() > kMaxText) {
        out += fmt::format("({} bytes)", value.size());
    } else {
        out += redact_url(value);
    }
}

void add_message(const Message& message, int depth, std::string& out) {
    if (depth > kMaxDepth) {
        out += "…";
        return;
    }
    const auto& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    bool first = true;
    for (const auto* field : fields) {
        const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
        for (int i = 0; i < std::min(count, kMaxItems); ++i) {
            if (!std::exchange(first, false)) out += ' ';
            out += field->name();
            out += ": ";
            add_field(message, *field, field->is_repeated() ? i : -1, depth, out);
        }
        if (count > kMaxItems) out += fmt::format(" … {} more", count - kMaxItems);
    }
}

// `index` < 0: the field is not repeated.
void add_field(const Message& message, const FieldDescriptor& field, int index, int depth, std::string& out) {
    const auto& reflection = *message.GetReflection();
    const auto number = [&](auto single, auto repeated) {
        out += fmt::format(
            "{}", index < 0 ? (reflection.*single)(message, &field) : (reflection.*repeated)(message, &field, index));
    };
    using R = google::protobuf::Reflection;
    switch (field.cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
            return add_text(index < 0 ? reflection.GetString(message, &field)
                                      : reflection.GetRepeatedString(message, &field, index),
                            field, out);
        case FieldDescriptor::CPPTYPE_MESSAGE:
            out += "{ ";
            add_message(index < 0 ? reflection.GetMessage(message, &field)
                                  : reflection.GetRepeatedMessage(message, &field, index),
                        depth + 1, out);
            out += " }";
            return;
        case FieldDescriptor::CPPTYPE_ENUM:
            out +=
                (index < 0 ? reflection.GetEnum(message, &field) : reflection.GetRepeatedEnum(message, &field, index))
                    ->name();
            return;
        case FieldDescriptor::CPPTYPE_BOOL:
            return number(&R::GetBool, &R::GetRepeatedBool);
        case FieldDescriptor::CPPTYPE_INT32:
            return number(&R::GetInt32, &R::GetRepeatedInt32);
        case FieldDescriptor::CPPTYPE_INT64:
            return number(&R::GetInt64, &R::GetRepeatedInt64);
        case FieldDescriptor::CPPTYPE_UINT32:
            return number(&R::GetUInt32, &R::GetRepeatedUInt32);
        case FieldDescriptor::CPPTYPE_UINT64:
            return number(&R::GetUInt64, &R::GetRepeatedUInt64);
        case FieldDescriptor::CPPTYPE_FLOAT:
            return number(&R::GetFloat, &R::GetRepeatedFloat);
        case FieldDescriptor::CPPTYPE_DOUBLE:
            return number(&R::GetDouble, &R::GetRepeatedDouble);
    }
}

std::string class_of(grpc::StatusCode code) {
    for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
        const auto known = static_cast<Code>(i);
        if (to_status(Error{known, "", ""}).error_code() == code) return std::string(to_string(known));
    }
    return code == grpc::StatusCode::OK ? "OK" : code == grpc::StatusCode::CANCELLED ? "CANCELLED" : "UNKNOWN";
}

// Sees one call from its request to its status. The batches of a call follow one another.
class CallRecorder final : public Interceptor {
public:
    CallRecorder(ServerRpcInfo& info, const ApiContext& api, AuditLog& log) : info_(info), api_(api), log_(log) {}

    void Intercept(InterceptorBatchMethods* batch) override {
        // Of an upload the first message, which names it; the others are its bytes.
        if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) && detail_.empty()) {
            if (const auto* request = static_cast<const Message*>(batch->GetRecvMessage())) {
                detail_ = audit_text(*request);
            }
        }
        if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) record(batch->GetSendStatus());
        batch->Proceed();
    }

private:
    void record(const grpc::Status& status) {
        const auto caller = caller_of(api_, *info_.server_context());
        const std::string method = info_.method();
        log_.record({caller.actor, role_text(caller), method.substr(kService.size()), detail_,
                     class_of(status.error_code()), status.error_message()});
    }

    ServerRpcInfo& info_;
    const ApiContext& api_;
    AuditLog& log_;
    std::string detail_;
};

class RecorderFactory final : public ServerInterceptorFactoryInterface {
public:
    RecorderFactory(const ApiContext& api, AuditLog& log) : api_(api), log_(log) {}
    Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
        return is_audited(info->method()) ? new CallRecorder(*info, api_, log_) : nullptr;
    }

private:
    const ApiContext& api_;
    AuditLog& log_;
};

}  // namespace

bool is_audited(std::string_view method) {
    if (!method.starts_with(kService) || method == "/nett.v1.Inventory/Plan") return false;
    switch (need_of(method)) {
        case Need::kOperate:
        case Need::kOperateOwn:
        case Need::kAdminister:
            return true;
        case Need::kIdentity:
        case Need::kRead:
        case Need::kReadOwn:
        case Need::kReport:
        case Need::kFetch:
            return false;
    }
    return true;
}

std::string audit_text(const Message& request) {
    std::string out;
    add_message(request, 0, out);
    return out;
}

RefusedCall record_refusals(AuditLog* log) {
    return [log](const std::string& actor, const std::string& role, std::string_view method, const Error& why) {
        if (log == nullptr) return;
        const auto what = method.starts_with(kService) ? method.substr(kService.size()) : method;
        log->record({actor, role, std::string(what.substr(0, kMaxText)), "", std::string(to_string(why.code)),
                     why.to_string()});
    };
}

void add_audit(grpc::ServerBuilder& builder, const ApiContext& api, AuditLog& log) {
    std::vector<std::unique_ptr<ServerInterceptorFactoryInterface>> creators;
    creators.push_back(std::make_unique<RecorderFactory>(api, log));
    builder.experimental().SetInterceptorCreators(std::move(creators));
}

}  // namespace nett
