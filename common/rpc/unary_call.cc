#include "common/rpc/unary_call.h"

namespace tandem::rpc {
namespace {

/// Deletes itself. A client that hangs up does not stop a body that runs: it is bounded, and what
/// it changes in the core it changes wholly.
class Call : public grpc::ServerUnaryReactor {
 private:
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerUnaryReactor* UnaryCall(grpc::CallbackServerContext* context, Executor& executor,
                                    std::function<absl::Status()> body) {
  auto* call = new Call;
  const bool queued = executor.Submit([context, call, body = std::move(body)] {
    // Whoever asked may be gone by the time that its turn comes.
    call->Finish(context->IsCancelled() ? grpc::Status::CANCELLED : ToGrpc(body()));
  });
  if (!queued) {
    call->Finish(
        ToGrpc(absl::ResourceExhaustedError("too many requests are waiting; try again in 100 ms")));
  }
  return call;
}

}  // namespace tandem::rpc
