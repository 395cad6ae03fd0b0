#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/clients/environments.h"

namespace tandem::clients {

/// A provider of the environments of a dm_env_rpc v1 server; source.server is "dm_env_rpc:" and its
/// address. As EnvironmentProvider::Create otherwise.
absl::StatusOr<std::unique_ptr<EnvironmentProvider>> ConnectDmEnvRpc(
    const EnvironmentSource& source);

}  // namespace tandem::clients
