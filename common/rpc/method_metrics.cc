#include "common/rpc/method_metrics.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace tandem::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

/// Lives as long as its call.
class CountedCall : public Interceptor {
 public:
  CountedCall(std::string method, bool stream, metrics::Registry& registry)
      : method_(std::move(method)),
        stream_(stream),
        registry_(registry),
        start_(Clock::Real()->Monotonic()) {}

  ~CountedCall() override {
    registry_
        .AddCounter("tandem_rpc_requests_total",
                    "Calls answered, streams included, by their status.",
                    {{"method", method_}, {"code", absl::StatusCodeToString(code_)}})
        .Increment();
    if (stream_) return;
    registry_
        .AddHistogram("tandem_rpc_request_seconds",
                      "Time from a call's arrival to its answer, waiting included [s].",
                      metrics::LatencyBuckets(), {{"method", method_}})
        .Observe(absl::ToDoubleSeconds(Clock::Real()->Monotonic() - start_));
  }

  void Intercept(InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = static_cast<absl::StatusCode>(batch->GetSendStatus().error_code());
    }
    batch->Proceed();
  }

 private:
  const std::string method_;
  const bool stream_;
  metrics::Registry& registry_;
  const absl::Duration start_;
  absl::StatusCode code_ = absl::StatusCode::kCancelled;  // where no status is ever sent
};

class Factory : public ServerInterceptorFactoryInterface {
 public:
  explicit Factory(metrics::Registry& registry) : registry_(registry) {}

  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    const std::string_view method = info->method() == nullptr ? "" : info->method();
    if (!method.starts_with("/tandem.") || !Exists(method)) return nullptr;
    return new CountedCall(std::string(method.substr(1)),
                           info->type() != ServerRpcInfo::Type::UNARY, registry_);
  }

 private:
  /// gRPC makes interceptors for unknown methods too: their names are the client's own choice, and
  /// must not become labels.
  static bool Exists(std::string_view method) {
    std::string name(method.substr(1));
    std::replace(name.begin(), name.end(), '/', '.');
    return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name) != nullptr;
  }

  metrics::Registry& registry_;
};

}  // namespace

std::unique_ptr<ServerInterceptorFactoryInterface> MakeMethodMetrics(metrics::Registry& registry) {
  return std::make_unique<Factory>(registry);
}

}  // namespace tandem::rpc
