#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::config {

/// Command line of every service: `tandem_actor --config FILE [path.to.field=value ...]`; also
/// --help and --version. Returns the resolved config. On an error, or after --help or --version,
/// prints one line (the help) and sets `exit_code`; the caller returns it from main().
struct ServiceArgs {
  v1::RunConfig config;
  bool exit = false;
  int exit_code = 0;
};
ServiceArgs ParseServiceArgs(int argc, char** argv, const std::string& role, const std::string& what_it_does);

/// For a service that cannot make its options of its config: prints why, one line like those of
/// ParseServiceArgs, and returns the exit code of the process. 2 tells who supervises it that
/// another start with this config cannot help; 1, for an error of the system, that it may.
int RefuseOptions(const std::string& role, const absl::Status& why);

}  // namespace tandem::config
