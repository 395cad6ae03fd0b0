#pragma once

#include <string>

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

}  // namespace tandem::config
