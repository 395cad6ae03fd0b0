#include "common/clients/environments.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/clients/dm_env_rpc_environment.h"
#include "common/clients/environment_command.h"
#include "common/clients/environment_server.h"
#include "common/clients/remote_environment.h"
#include "common/clients/stop_relay.h"
#include "common/env/local_vector_environment.h"

namespace tandem {
namespace {

class LocalProvider : public EnvironmentProvider {
 public:
  explicit LocalProvider(const EnvironmentSource& source)
      : EnvironmentProvider(source), source_(source) {}

 private:
  absl::StatusOr<std::unique_ptr<VectorEnvironment>> DoMake(int num_envs, uint64_t seed,
                                                            int64_t max_episode_steps) override {
    return LocalVectorEnvironment::Create(
        source_.name, {.num_envs = num_envs,
                       .threads = source_.threads,
                       .seed = seed,
                       .environment = {.max_episode_steps = max_episode_steps}});
  }

  const EnvironmentSource source_;
};

class RemoteProvider : public EnvironmentProvider {
 public:
  RemoteProvider(std::shared_ptr<clients::EnvironmentServer> server,
                 clients::ServedEnvironment served)
      : EnvironmentProvider(server->source()),
        server_(std::move(server)),
        served_(std::move(served)) {}

  std::string address() const override { return server_->address(); }

 private:
  absl::StatusOr<std::unique_ptr<VectorEnvironment>> DoMake(int num_envs, uint64_t seed,
                                                            int64_t max_episode_steps) override {
    return clients::RemoteVectorEnvironment::Create(server_, served_, num_envs, seed,
                                                    max_episode_steps);
  }

  const std::shared_ptr<clients::EnvironmentServer> server_;
  const clients::ServedEnvironment served_;
};

bool IsGym(const EnvironmentSource& source) { return absl::StartsWith(source.name, "gym:"); }

absl::Status Validate(const EnvironmentSource& source) {
  if (!source.server.empty() && !source.command.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a server or a command, got the server ", source.server,
                     " and the command ", source.command));
  }
  const bool served = !source.server.empty() || !source.command.empty();
  if (!served && source.name.empty()) {
    return absl::InvalidArgumentError("expected the name of an environment, a server or a command");
  }
  if (!served && !IsGym(source) && !source.arguments.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected no arguments for the built-in environment ", source.name, ", got ",
                     source.arguments));
  }
  if (source.step_timeout <= absl::ZeroDuration() || source.reset_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected timeouts above 0, got ", absl::FormatDuration(source.step_timeout),
        " for a step and ", absl::FormatDuration(source.reset_timeout), " for a reset"));
  }
  return absl::OkStatus();
}

/// source: as it goes to the server.
absl::StatusOr<std::unique_ptr<EnvironmentProvider>> ConnectServer(
    const EnvironmentSource& source, const std::string& address,
    std::unique_ptr<clients::EnvironmentProcess> process) {
  auto server = std::make_shared<clients::EnvironmentServer>(source, address, std::move(process));
  const auto calls = std::make_shared<rpc::CallSet>(server->peer());
  const clients::StopRelay relay(source.stop, calls);
  TANDEM_ASSIGN_OR_RETURN(clients::ServedEnvironment served, server->AwaitDescription(calls));
  if (!source.name.empty() && source.name != served.spec.name) {
    return absl::InvalidArgumentError(absl::StrCat(server->peer(), ": expected ", source.name,
                                                   ", the server has ", served.spec.name));
  }
  return std::make_unique<RemoteProvider>(std::move(server), std::move(served));
}

absl::StatusOr<std::unique_ptr<EnvironmentProvider>> StartCommand(
    const EnvironmentSource& source, clients::EnvironmentProcess::Options command) {
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<clients::EnvironmentProcess> process,
                          clients::EnvironmentProcess::Start(std::move(command)));
  const std::string address = process->address();
  return ConnectServer(source, address, std::move(process));
}

absl::StatusOr<std::unique_ptr<EnvironmentProvider>> StartGym(const EnvironmentSource& source) {
  TANDEM_ASSIGN_OR_RETURN(const clients::EnvironmentProcess::Options command,
                          clients::GymCommand(source));
  EnvironmentSource served = source;
  served.arguments.clear();  // they stand in the command, so that the description heeds them
  auto provider = StartCommand(served, command);
  if (!absl::IsUnavailable(provider.status()) && !absl::IsNotFound(provider.status())) {
    return provider;
  }
  return clients::ExplainGym(command, provider.status());
}

}  // namespace

absl::StatusOr<std::unique_ptr<VectorEnvironment>> EnvironmentProvider::Make(
    int num_envs, uint64_t seed, int64_t max_episode_steps) {
  if (max_episode_steps < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected max_episode_steps >= 0, got ", max_episode_steps));
  }
  return DoMake(num_envs, seed, max_episode_steps);
}

absl::StatusOr<std::unique_ptr<EnvironmentProvider>> EnvironmentProvider::Create(
    const EnvironmentSource& source) {
  TANDEM_RETURN_IF_ERROR(Validate(source));
  if (absl::StartsWith(source.server, "dm_env_rpc:")) return clients::ConnectDmEnvRpc(source);
  if (!source.server.empty()) return ConnectServer(source, source.server, nullptr);
  if (!source.command.empty()) {
    TANDEM_ASSIGN_OR_RETURN(std::vector<std::string> argv, clients::SplitWords(source.command));
    clients::EnvironmentProcess::Options command{.argv = std::move(argv),
                                                 .environment = clients::PythonPath()};
    // The server describes an environment before a session tells it the arguments.
    command.environment.emplace_back("TANDEM_ENV_ARGUMENTS", source.arguments);
    return StartCommand(source, std::move(command));
  }
  if (IsGym(source)) return StartGym(source);
  // An unknown name is told of here, not by the first Make.
  TANDEM_RETURN_IF_ERROR(MakeEnvironment(source.name).status());
  return std::make_unique<LocalProvider>(source);
}

}  // namespace tandem
