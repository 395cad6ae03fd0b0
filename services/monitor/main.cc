#include <sys/resource.h>

#include "common/base/log.h"
#include "common/config/service_flags.h"
#include "services/monitor/serve.h"

int main(int argc, char** argv) {
  const auto args = tandem::config::ParseServiceArgs(
      argc, argv, "monitor", "Judges how far the policy exploits its model.");
  if (args.exit) return args.exit_code;
  tandem::rpc::BlockSignals();
  auto options = tandem::monitor::OptionsFrom(args.config);
  if (!options.ok()) return tandem::config::RefuseOptions("monitor", options.status());
  // The run comes first, unless it waits for the monitor; where this fails, nothing is lost.
  if (!options->monitor.paced) setpriority(PRIO_PROCESS, 0, 10);
  tandem::InitLog(options->member);
  const absl::Status status = tandem::monitor::Serve(*std::move(options));
  if (!status.ok()) tandem::LogError(status.ToString());
  return status.ok() ? 0 : 1;
}
