#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "dm_env_rpc/v1/dm_env_rpc.pb.h"

namespace tandem::clients {

using DmEnvRpcSettings = google::protobuf::Map<std::string, dm_env_rpc::v1::Tensor>;

/// A JSON object of numbers, strings, booleans and arrays of one of these -> settings. Whole
/// numbers become INT64, others DOUBLE. INVALID_ARGUMENT for anything else.
absl::StatusOr<DmEnvRpcSettings> SettingsFromJson(const std::string& json);

}  // namespace tandem::clients
