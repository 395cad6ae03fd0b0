#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/launcher.h"
#include "cli/run_folder.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::cli {

/// A process of a run: its member name and its role.
struct Member {
  std::string name;  ///< "actor-1"
  std::string role;  ///< "actor"
};

/// The processes of a run on this machine, in the order in which they start.
std::vector<Member> MembersOf(const config::v1::RunConfig& config);

/// How a member is started: binary, config, and the addresses of the run as overrides.
ChildSpec SpecFor(const Member& member, const RunFolder& folder,
                  const config::v1::RunConfig& config, const std::string& binary_folder);

/// Writes what a run is before it starts: config.yaml, command.txt, versions.json and run.json.
absl::Status DescribeRun(const RunFolder& folder, const config::v1::RunConfig& config,
                         const std::string& command);

/// Keeps this process and its children on `cores` of the cores it may use. INVALID_ARGUMENT where
/// there are fewer.
absl::Status UseCores(int cores);

/// Threads that a trainer takes of a run's cores where the recipe does not say (runtime.threads):
/// its share, for in lockstep one trainer computes while the other waits, else both do at once; 1
/// or 2, for an update of the policy has use for two. Pure.
int ThreadsFor(int cores, config::v1::PaceMode pace);

/// Cores that this process may use.
int UsableCores();

}  // namespace tandem::cli
