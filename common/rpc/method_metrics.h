#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "common/metrics/registry.h"

namespace tandem::rpc {

/// Counts the calls that a server answers, by method and code, and times those that are no streams:
///   tandem_rpc_requests_total{method, code}, tandem_rpc_request_seconds{method}
/// Methods of other packages than tandem's (health, reflection) are left out, so that the label
/// stays bounded. `registry` outlives the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeMethodMetrics(
    metrics::Registry& registry);

}  // namespace tandem::rpc
