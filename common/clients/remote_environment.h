#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clients/environment_server.h"
#include "common/clients/session_recovery.h"
#include "common/env/vector_environment.h"

namespace tandem::clients {

/// Environments behind a server of tandem.env.v1.
///
/// A stream that breaks is opened again, and the request sent again with its step_id, within the
/// time of the step: nothing is lost and nothing steps twice. Where the session is gone, the server
/// does not answer in time or answers nonsense, every environment is kLost, with one fault for all
/// of them, and a thread works on a new session meanwhile: at once, and where that one soon fails
/// as well with growing pauses. A row that holds a number that is not
/// finite, or a choice that there is not, loses its environment alone, which is made anew.
///
/// In time: a step may take step_timeout and, as episodes that end are reset within it,
/// reset_timeout, both for each environment that the server steps one after the other, and a
/// margin. Once it is known how long they really take, ten times that is enough of either sum, but
/// never less than one whole timeout: so a server that hangs is soon noticed.
///
/// A step with an error that is for good: the server came back with other environments
/// (FAILED_PRECONDITION), or speaks another protocol (UNIMPLEMENTED).
class RemoteVectorEnvironment : public VectorEnvironment {
 public:
  /// Opens a session and resets it; the source's stop ends the wait. served: from the server's
  /// description. max_episode_steps: as for EnvironmentProvider::Make. The server's error;
  /// INVALID_ARGUMENT where so many do not fit into a message or into memory; UNAVAILABLE, with
  /// what failed, where no environment could start an episode.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(
      std::shared_ptr<EnvironmentServer> server, ServedEnvironment served, int num_envs,
      uint64_t seed, int64_t max_episode_steps);
  /// Gives the environments back; blocks about 1 s at most.
  ~RemoteVectorEnvironment() override;

  absl::Status ResetAll(std::optional<uint64_t> seed) override;
  absl::Status Step(std::span<const float> actions) override;
  void Stop() override { calls_->Stop(); }

 private:
  RemoteVectorEnvironment(std::shared_ptr<EnvironmentServer> server,
                          std::shared_ptr<rpc::CallSet> calls, const SessionOrder& order);

  absl::Status Exchange(absl::Duration timeout);
  absl::Duration StepTime() const;
  absl::Duration Allowance(absl::Duration each, absl::Duration measured) const;
  absl::Status AwaitSession();
  absl::Status TakeSession(OpenedSession opened);
  /// What follows from an answer, or from its absence.
  absl::Status Conclude(const absl::Status& status, bool reset);
  absl::Status Apply(bool reset);
  void ApplyOutcome(size_t env, bool reset);
  void TakeRows();
  void CheckRow(size_t env);
  /// Columns -> rows of `flat`. Those with a choice that there is not become NaN and bad_choices_.
  template <typename Columns, typename EnvOfRow>
  void Flatten(const Columns& columns, size_t rows, std::span<float> flat,
               const EnvOfRow& env_of_row);
  /// Takes one environment out of use and asks for it to be made anew.
  void Drop(size_t env, Outcome outcome);
  void Blame(size_t env, FaultKind kind, std::string message);
  void LoseAll(const EnvironmentFault& fault, bool reset);
  void StartRecovery();

  const std::shared_ptr<EnvironmentServer> server_;
  const ServedEnvironment served_;
  const int64_t max_episode_steps_;  // asked for; 0: the environment's own
  const std::shared_ptr<rpc::CallSet> calls_;
  uint64_t seed_;                                // of the sessions after the first
  uint64_t sessions_ = 0;                        // opened so far
  std::unique_ptr<EnvironmentSession> session_;  // one of this and recovery_ is set
  uint64_t incarnation_ = 0;
  RetryPace pace_;          // of the recoveries
  int64_t good_steps_ = 0;  // of the session
  std::unique_ptr<SessionRecovery> recovery_;
  std::optional<uint64_t> pending_seed_;  // of a ResetAll while there was no session
  absl::Duration longest_opening_;        // that all of them took to be made and reset
  absl::Duration longest_step_;           // that all of them took for one; 0: none yet

  // Of the request under way; kept for their memory.
  env::v1::StepRequest request_;
  env::v1::StepResponse response_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> views_;
  std::vector<float> rows_;  // [N, obs] of episodes that ended
  std::vector<int> ended_;   // their environments
  std::map<int, std::string> bad_choices_;
  std::vector<uint8_t> running_;  // [N] in an episode, as far as the caller knows
  std::vector<uint8_t> restart_;  // [N] to be made anew with the next step
  std::vector<uint8_t> doomed_;   // [N] cannot begin an episode: lost in the next step
};

}  // namespace tandem::clients
