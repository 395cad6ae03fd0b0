#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/env_server/environment_host.h"
#include "tandem/env/v1/env.pb.h"

namespace tandem::env_server {

/// Writes flat rows of `layout` as columns. A single array of float32 is copied as it is.
void WriteColumns(const SpaceLayout& layout, std::span<const float> flat, int64_t rows,
                  google::protobuf::RepeatedPtrField<std::string>* columns);

/// The environments of one session, and what tandem.env.v1 says of their steps: an episode that
/// ended is followed by the next at once; one that fails is lost, and begins again with the request
/// after. Not thread-safe.
///
/// The environments run in this process, so a step cannot be cut short; one that took longer than
/// the client allows counts as hung when it is through.
class EnvironmentBatch {
 public:
  struct Timeouts {
    absl::Duration step;
    absl::Duration reset;
  };
  /// host outlives this.
  EnvironmentBatch(const EnvironmentHost& host, HostedEnvironments envs, Timeouts timeouts);

  /// Does what a request asks for. INVALID_ARGUMENT, and nothing has happened, for columns of a
  /// wrong number or size.
  absl::Status Answer(const env::v1::StepRequest& request, env::v1::StepResponse* response);

 private:
  enum class State : uint8_t {
    kNew,  ///< Never reset.
    kRuns,
    kAbsent,     ///< It failed.
    kUnstarted,  ///< Its episode ended and the next could not begin.
  };

  absl::Status CheckReset(const env::v1::StepRequest& request) const;
  void Reset(const env::v1::StepRequest& request, env::v1::StepResponse* response);
  absl::Status TakeActions(const env::v1::StepRequest& request);
  void StepAll(const env::v1::StepRequest& request, env::v1::StepResponse* response);
  env::v1::Outcome StepOne(int env, env::v1::StepResponse* response);
  /// Starts an episode; whether that went well.
  bool Begin(int env, std::optional<uint64_t> seed, env::v1::StepResponse* response);
  env::v1::Outcome Lose(int env, env::v1::FaultKind kind, const std::string& message,
                        env::v1::StepResponse* response);
  void Finish(const std::string& outcomes, char usual, env::v1::StepResponse* response);
  State& state(int env) { return states_[static_cast<size_t>(env)]; }

  const EnvironmentHost& host_;
  const HostedEnvironments envs_;
  const Timeouts timeouts_;
  const size_t obs_dim_;
  const size_t action_dim_;
  std::vector<State> states_;
  std::vector<float> observations_;  // [N, obs]
  std::vector<float> last_;          // [obs]
  std::vector<float> finals_;        // [K, obs]
  std::vector<float> actions_;       // [N, action]
  std::map<int, std::string> bad_actions_;
};

}  // namespace tandem::env_server
