#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/stop_signal.h"
#include "common/env/vector_environment.h"

namespace tandem {

/// Where environments come from and how long they may take.
struct EnvironmentSource {
  std::string name;       ///< Built-in, or "gym:" and a Gymnasium id; for served ones may be empty.
  std::string server;     ///< Address, or "dm_env_rpc:" and an address; empty: none.
  std::string command;    ///< Program and arguments that serve; empty: none.
  std::string arguments;  ///< JSON object for the maker; empty: none.
  int64_t max_episode_steps = 0;  ///< >= 0 [steps]; 0: the environment's own limit.
  int threads = 1;
  absl::Duration step_timeout = absl::Seconds(10);
  absl::Duration reset_timeout = absl::Seconds(60);
  std::string client;  ///< Name of this client, for the server's log.
  /// Whether what a command writes, and its deaths, go to this process's log as well.
  bool log_output = true;
  /// Ends every wait of Create and Make, which are then CANCELLED; null: nothing does. Not owned;
  /// outlives the provider. The environments that Make gave have a Stop() of their own.
  StopSignal* stop = nullptr;
};

/// What serves the environments of one source: nothing for built-in ones, a connection, or a child
/// process and a connection. Thread-safe; outlives what Make gave.
class EnvironmentProvider {
 public:
  /// Starts the command where there is one (again whenever it dies, with growing pauses, until this
  /// is destroyed) and waits up to reset_timeout for the server's description. INVALID_ARGUMENT for
  /// a source that contradicts itself; NOT_FOUND for an unknown name; UNAVAILABLE, with the last
  /// lines of the command's stderr, where no server answers.
  static absl::StatusOr<std::unique_ptr<EnvironmentProvider>> Create(
      const EnvironmentSource& source);
  virtual ~EnvironmentProvider() = default;

  /// num_envs of them, each at the start of an episode; their episodes are truncated after
  /// max_episode_steps [steps], 0: the environment's own limit. One provider gives batches of
  /// several limits. A server that is away, or whose environments others have, is waited for up to
  /// max(reset_timeout, 90 s). RESOURCE_EXHAUSTED where it has no more; INVALID_ARGUMENT where so
  /// many do not fit into memory, or for a limit below 0.
  absl::StatusOr<std::unique_ptr<VectorEnvironment>> Make(int num_envs, uint64_t seed,
                                                          int64_t max_episode_steps);
  /// The same with the limit of the source.
  absl::StatusOr<std::unique_ptr<VectorEnvironment>> Make(int num_envs, uint64_t seed) {
    return Make(num_envs, seed, max_episode_steps_);
  }

  /// Address of their server of tandem.env.v1; empty: there is none.
  virtual std::string address() const { return ""; }

 protected:
  explicit EnvironmentProvider(const EnvironmentSource& source)
      : max_episode_steps_(source.max_episode_steps) {}

 private:
  /// max_episode_steps: >= 0.
  virtual absl::StatusOr<std::unique_ptr<VectorEnvironment>> DoMake(int num_envs, uint64_t seed,
                                                                    int64_t max_episode_steps) = 0;

  const int64_t max_episode_steps_;
};

}  // namespace tandem
