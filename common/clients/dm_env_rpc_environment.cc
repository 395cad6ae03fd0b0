#include "common/clients/dm_env_rpc_environment.h"

#include "absl/strings/str_cat.h"

namespace tandem::clients {

absl::StatusOr<std::unique_ptr<EnvironmentProvider>> ConnectDmEnvRpc(
    const EnvironmentSource& source) {
  return absl::UnimplementedError(
      absl::StrCat("this build has no client of dm_env_rpc, which ", source.server, " asks for"));
}

}  // namespace tandem::clients
