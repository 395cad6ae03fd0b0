#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/service_flags.h"
#include "common/nn/device.h"
#include "common/rpc/server_runner.h"
#include "common/training/serve_until_signal.h"
#include "services/actor/options.h"
#include "services/actor/service.h"

namespace tandem::actor {
namespace {

/// *misconfigured: whether another start cannot help.
absl::Status Serve(ServiceOptions options, bool* misconfigured) {
  // A batch of observations is small: more threads would only cost the trainers theirs.
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(1));
  metrics::Registry registry;
  rpc::ServerOptions server = options.server;
  server.registry = &registry;
  const absl::Duration drain = options.drain;
  ActorService actor(std::move(options), registry);
  const absl::Status status = training::ServeUntilSignal(
      server, drain,
      [&](const training::SetServing& set_serving) { return actor.Run(set_serving); },
      [&] { actor.Stop(); });
  *misconfigured = actor.misconfigured();
  return status;
}

}  // namespace
}  // namespace tandem::actor

int main(int argc, char** argv) {
  const auto args = tandem::config::ParseServiceArgs(
      argc, argv, "actor", "Plays the environments and evaluates the policy.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::actor::OptionsOfThisStart(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("actor", options.status());
  tandem::InitLog(args.config.endpoints().member());
  bool misconfigured = false;
  const absl::Status status = tandem::actor::Serve(*std::move(options), &misconfigured);
  if (misconfigured) {
    return tandem::config::RefuseOptions("actor", absl::InvalidArgumentError(status.message()));
  }
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
