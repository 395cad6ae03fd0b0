#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "common/base/executor.h"
#include "common/rpc/status.h"

namespace tandem::rpc {

/// Answers one unary call from a thread of `executor`: gRPC's own threads never block. The body
/// fills the response and returns a status. RESOURCE_EXHAUSTED, with a hint when to try again,
/// where the executor's queue is full. Request and response stay valid until the body returns.
///
///   return rpc::UnaryCall(context, executor_, [this, request, response] {
///     return core_->Insert(*request, response);
///   });
grpc::ServerUnaryReactor* UnaryCall(grpc::CallbackServerContext* context, Executor& executor,
                                    std::function<absl::Status()> body);

}  // namespace tandem::rpc
