#include "agent/api/fabric_service.hpp"

namespace nett {

namespace {

Result<PortPrefix> from_proto(const v1::FabricPrefix& message) {
    auto prefix = Prefix6::parse(message.prefix());
    if (!prefix) return fail(std::move(prefix.error()));
    auto next_hop = parse_address6(message.next_hop());
    if (!next_hop) return fail(std::move(next_hop.error()));
    return PortPrefix{message.port(), *prefix, *next_hop};
}

Result<FabricReport> from_proto(const v1::FabricReport& message) {
    FabricReport report{message.run(), message.generation(), message.full(), {}};
    if (static_cast<std::size_t>(message.prefixes_size()) > kMaxPrefixesPerSwitch) {
        return fail(Code::kInvalidArgument, "a switch reports at most {} prefixes", kMaxPrefixesPerSwitch);
    }
    for (const auto& item : message.prefixes()) {
        auto prefix = from_proto(item);
        if (!prefix) return fail(std::move(prefix.error()));
        report.prefixes.push_back(std::move(*prefix));
    }
    if (static_cast<std::size_t>(message.ports_size()) > kMaxPortsPerSwitch) {
        return fail(Code::kInvalidArgument, "a switch reports at most {} ports", kMaxPortsPerSwitch);
    }
    for (const auto& item : message.ports()) {
        auto prefix = Prefix6::parse(item.prefix());
        if (!prefix) return fail(std::move(prefix.error()).in("port " + item.port()));
        report.ports.push_back({item.port(), *prefix});
    }
    return report;
}

}  // namespace

grpc::ServerUnaryReactor* FabricService::Report(grpc::CallbackServerContext* context, const v1::FabricReport* request,
                                                v1::FabricReportReply* reply) {
    const Caller caller = caller_of(api_, *context);
    return answer<v1::FabricReportReply>(api_, context, reply,
                                         [this, request, caller]() -> Awaitable<Result<v1::FabricReportReply>> {
                                             // Also on the Unix socket: who reports is the name in a certificate, and
                                             // there is none.
                                             NETT_CO_TRY(check_need(caller, Need::kReport));
                                             if (!receive_)
                                                 co_return fail(Code::kUnimplemented, "this agent takes no reports");
                                             auto report = from_proto(*request);
                                             if (!report) co_return fail(std::move(report.error()));
                                             const auto wanted = receive_(caller.peer, std::move(*report));
                                             if (!wanted) co_return fail(wanted.error());
                                             v1::FabricReportReply out;
                                             out.set_wants_all(*wanted);
                                             co_return out;
                                         });
}

}  // namespace nett
