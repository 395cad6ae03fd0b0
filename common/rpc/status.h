#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace tandem::rpc {

/// The one place where statuses change their kind. Codes map one to one; gRPC's "Stream removed"
/// UNKNOWN becomes UNAVAILABLE, so that clients may try again.
absl::Status FromGrpc(const grpc::Status& status);
grpc::Status ToGrpc(const absl::Status& status);

}  // namespace tandem::rpc
