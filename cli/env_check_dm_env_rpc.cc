#include "absl/strings/str_cat.h"
#include "cli/dm_env_rpc_checker.h"
#include "cli/env_checks.h"
#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"
#include "common/rpc/channel.h"

namespace tandem::cli {
namespace {

using Needs = DmEnvRpcCheck::Needs;

absl::Status Run(const DmEnvRpcCheck& check, DmEnvRpcChecker& server) {
  if (check.needs != Needs::kConnection) TANDEM_RETURN_IF_ERROR(server.Join());
  if (check.needs == Needs::kRunning) {
    TANDEM_ASSIGN_OR_RETURN(const auto first, server.Step());
    if (first.state() != dm_env_rpc::v1::RUNNING) {
      return Unexpected("the first step to be RUNNING, got state ",
                        static_cast<int>(first.state()));
    }
  }
  return check.run(server);
}

}  // namespace

std::vector<Finding> CheckDmEnvRpc(const std::string& address, const std::string& arguments) {
  const auto settings = clients::SettingsFromJson(arguments);
  if (!settings.ok()) {
    return {{"arguments", Finding::Result::kFailed, std::string(settings.status().message())}};
  }
  const auto stub = dm_env_rpc::v1::Environment::NewStub(
      rpc::Connect(address, /*bulk=*/true, clients::kMaxEnvMessageBytes));
  std::vector<NamedCheck> checks;
  for (const auto& table : {WorldChecks(), StepChecks()}) {
    for (const DmEnvRpcCheck& check : table) {
      checks.push_back({check.name, [&stub, &settings, &check] {
                          DmEnvRpcChecker server(*stub, *settings);
                          return Run(check, server);
                        }});
    }
  }
  return RunChecks(checks);
}

}  // namespace tandem::cli
