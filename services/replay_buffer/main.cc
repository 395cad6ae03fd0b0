#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/config/service_flags.h"
#include "common/rpc/server_runner.h"
#include "services/replay_buffer/options.h"
#include "services/replay_buffer/service.h"

namespace tandem {
namespace {

absl::Status Serve(ReplayOptions options) {
  metrics::Registry registry;
  TANDEM_ASSIGN_OR_RETURN(const auto buffer, ReplayBuffer::Create(options.buffer, registry));
  Executor executor(options.threads, options.max_queue);
  ReplayService service(*buffer, executor);
  options.server.services = {&service};
  options.server.live_calls = {service.live_calls()};
  options.server.registry = &registry;
  TANDEM_ASSIGN_OR_RETURN(const auto runner, rpc::ServerRunner::Start(options.server));
  runner->SetServing(true);
  LogInfo(absl::StrCat("serving at ", runner->address()));
  runner->WaitForSignal();
  buffer->Stop();
  runner->Drain(options.drain);
  executor.Stop();
  return absl::OkStatus();
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  const auto args = tandem::config::ParseServiceArgs(
      argc, argv, "replay_buffer", "Holds all experience of a run, and the pace of its sides.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::ReplayOptionsFrom(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("replay_buffer", options.status());
  tandem::InitLog(options->member);
  const absl::Status status = tandem::Serve(*std::move(options));
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
