#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clients/replay_client.h"
#include "common/rpc/call_scope.h"
#include "tandem/replay/v1/replay.grpc.pb.h"

namespace tandem::clients {

/// The streams of the gRPC replay client. Each has a thread that reads ahead into a bounded queue,
/// so that Receive can give up in time; they may outlive the client, and its Stop() ends them. A
/// server that does not accept the stream, or takes nothing off the wire, for `timeout` ends it
/// with UNAVAILABLE.
absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(
    std::shared_ptr<replay::v1::ReplayBufferService::Stub> stub,
    std::shared_ptr<rpc::CallSet> calls, const SampleSpec& spec, absl::Duration timeout);
absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(
    std::shared_ptr<replay::v1::ReplayBufferService::Stub> stub,
    std::shared_ptr<rpc::CallSet> calls, const TailRequest& request, absl::Duration timeout);

}  // namespace tandem::clients
