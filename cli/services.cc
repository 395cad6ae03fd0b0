#include "cli/services.h"

#include <google/protobuf/stubs/common.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/base/waiting_threads.h"
#include "common/config/config.h"

namespace tandem::cli {
namespace {

/// Those of an update of the policy, one for each critic; more are for who asks for them.
constexpr int kUsefulThreads = 2;
constexpr const char* kPeers[] = {"replay_buffer", "model_trainer", "policy_trainer", "monitor"};

std::string System() {
  utsname names;
  if (uname(&names) != 0) return "unknown";
  return absl::StrCat(names.sysname, " ", names.release, " ", names.machine);
}

}  // namespace

std::vector<Member> MembersOf(const config::v1::RunConfig& config) {
  std::vector<Member> members;
  for (const char* role : kPeers) members.push_back({role, role});
  for (int i = 0; i < config.actor().processes(); ++i) {
    members.push_back({absl::StrCat("actor-", i), "actor"});
  }
  return members;
}

ChildSpec SpecFor(const Member& member, const RunFolder& folder,
                  const config::v1::RunConfig& config, const std::string& binary_folder) {
  ChildSpec spec;
  spec.member = member.name;
  spec.argv = {absl::StrCat(binary_folder, "/tandem_", member.role),
               "--config",
               folder.File("config.yaml"),
               absl::StrCat("endpoints.member=", member.name),
               absl::StrCat("endpoints.listen=", folder.AddressOf(member.name)),
               "endpoints.metrics=127.0.0.1:0",
               absl::StrCat("endpoints.state_dir=", folder.StateOf(member.name))};
  for (const char* peer : kPeers) {
    spec.argv.push_back(absl::StrCat("endpoints.", peer, "=", folder.AddressOf(peer)));
  }
  spec.log_path = folder.LogOf(member.name);
  const char* wait_policy = std::getenv(kWaitPolicy);
  spec.environment = {{"OMP_NUM_THREADS", absl::StrCat(config::Threads(config))},
                      {kWaitPolicy, wait_policy == nullptr ? kWaitAsleep : wait_policy}};
  if (member.role == "replay_buffer") {
    spec.why_death_is_final = "its experience was in memory only, so the run cannot go on";
  }
  return spec;
}

absl::Status DescribeRun(const RunFolder& folder, const config::v1::RunConfig& config,
                         const std::string& command) {
  TANDEM_RETURN_IF_ERROR(folder.Write("config.yaml", config::ToYaml(config)));
  TANDEM_RETURN_IF_ERROR(folder.Write("command.txt", command + "\n"));
  const nlohmann::json versions = {
      {"tandem", TANDEM_VERSION},
      {"compiler", "g++ " __VERSION__},
      {"grpc", TANDEM_GRPC_VERSION},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"libtorch", TANDEM_TORCH_VERSION},
      {"mujoco", TANDEM_MUJOCO_VERSION},
      {"system", System()}};
  TANDEM_RETURN_IF_ERROR(folder.WriteJson("versions.json", versions));
  nlohmann::json run = {
      {"name", config.run().name()}, {"pid", getpid()},
      {"started", TimeText()},       {"started_unix", absl::ToUnixSeconds(absl::Now())},
      {"command", command},          {"members", nlohmann::json::array()}};
  for (const Member& member : MembersOf(config)) {
    TANDEM_RETURN_IF_ERROR(MakeDirs(folder.StateOf(member.name)));
    run["members"].push_back({{"name", member.name},
                              {"role", member.role},
                              {"address", folder.AddressOf(member.name)},
                              {"log", folder.LogOf(member.name)}});
  }
  return folder.WriteJson("run.json", run);
}

int ThreadsFor(int cores, config::v1::PaceMode pace) {
  const int share = pace == config::v1::PACE_MODE_LOCKSTEP ? cores : cores / 2;
  return std::clamp(share, 1, kUsefulThreads);
}

int UsableCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

absl::Status UseCores(int cores) {
  cpu_set_t usable, chosen;
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0) {
    return ErrnoStatus(errno, "sched_getaffinity");
  }
  CPU_ZERO(&chosen);
  for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&chosen) < cores; ++core) {
    if (CPU_ISSET(core, &usable)) CPU_SET(core, &chosen);
  }
  if (CPU_COUNT(&chosen) < cores) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cores ", cores, ": this process may use ", CPU_COUNT(&usable), " only"));
  }
  if (sched_setaffinity(0, sizeof(chosen), &chosen) != 0) {
    return ErrnoStatus(errno, "sched_setaffinity");
  }
  return absl::OkStatus();
}

}  // namespace tandem::cli
