#include "agent/api/fabric_uplink.hpp"

#include <grpcpp/grpcpp.h>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "agent/api/channel.hpp"
#include "nett.grpc.pb.h"

namespace nett {

namespace {

v1::FabricReport to_proto(const FabricReport& report) {
    v1::FabricReport out;
    out.set_run(report.run);
    out.set_generation(report.generation);
    out.set_full(report.full);
    for (const auto& prefix : report.prefixes) {
        auto* added = out.add_prefixes();
        added->set_prefix(prefix.prefix.to_string());
        added->set_port(prefix.port);
        added->set_next_hop(prefix.next_hop.to_string());
    }
    for (const auto& port : report.ports) {
        auto* added = out.add_ports();
        added->set_port(port.port);
        added->set_prefix(port.prefix.to_string());
    }
    return out;
}

Code code_of(grpc::StatusCode code) {
    switch (code) {
        case grpc::StatusCode::PERMISSION_DENIED:
            return Code::kPermissionDenied;
        case grpc::StatusCode::INVALID_ARGUMENT:
            return Code::kInvalidArgument;
        case grpc::StatusCode::UNIMPLEMENTED:
            return Code::kUnimplemented;
        case grpc::StatusCode::DEADLINE_EXCEEDED:
            return Code::kDeadlineExceeded;
        default:
            return Code::kUnavailable;
    }
}

class Uplink final : public FabricUplink {
public:
    Uplink(asio::any_io_executor loop, UplinkSettings settings) : loop_(loop), settings_(std::move(settings)) {}

    Awaitable<Result<bool>> report(FabricReport report) override {
        if (!stub_) {
            if (auto connected = connect(); !connected) co_return fail(std::move(connected.error()));
        }
        const auto call = std::make_shared<Call>(loop_);
        call->request = to_proto(report);
        call->context.set_deadline(std::chrono::system_clock::now() + kReportTime);
        running_ = call;
        stub_->async()->Report(&call->context, &call->request, &call->reply, [call](grpc::Status status) {
            // gRPC's thread. The loop owns what follows.
            asio::post(call->done.get_executor(), [call, status = std::move(status)] {
                call->status = status;
                call->ended = true;
                call->done.cancel();
            });
        });
        while (!call->ended) {
            boost::system::error_code ignored;
            co_await call->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        }
        running_.reset();
        if (call->status.ok()) co_return call->reply.wants_all();
        stub_.reset();
        co_return fail(code_of(call->status.error_code()), "{}", call->status.error_message());
    }

    void cancel() override {
        if (running_) running_->context.TryCancel();
    }

private:
    struct Call {
        explicit Call(asio::any_io_executor loop) : done(loop, SteadyTime::max()) {}
        grpc::ClientContext context;
        v1::FabricReport request;
        v1::FabricReportReply reply;
        grpc::Status status;
        asio::steady_timer done;  // cancelled at the end
        bool ended = false;
    };

    Result<void> connect() {
        auto channel = connect_to_agent(settings_.endpoint, settings_.server_name, settings_.certificates);
        if (!channel) return fail(std::move(channel.error()));
        stub_ = v1::Fabric::NewStub(std::move(*channel));
        return {};
    }

    asio::any_io_executor loop_;
    UplinkSettings settings_;
    std::unique_ptr<v1::Fabric::Stub> stub_;
    std::shared_ptr<Call> running_;
};

}  // namespace

std::unique_ptr<FabricUplink> make_fabric_uplink(asio::any_io_executor loop, UplinkSettings settings) {
    return std::make_unique<Uplink>(loop, std::move(settings));
}

}  // namespace nett
