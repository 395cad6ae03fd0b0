#include "services/policy_trainer/core/real_sampler.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/transient.h"
#include "common/training/peer_wait.h"

namespace tandem::policy_trainer {
namespace {

constexpr absl::Duration kReceiveTimeout = absl::Seconds(5);
constexpr absl::Duration kGiveUpAfter = absl::Seconds(10);

}  // namespace

RealSampler::RealSampler(ReplayClient& replay, const EnvironmentSpec& spec, StopSignal& stop,
                         Clock& clock)
    : replay_(replay),
      obs_dim_(spec.observation.dim()),
      action_dim_(spec.action.dim()),
      stop_(stop),
      clock_(clock) {}

absl::StatusOr<TransitionBatch> RealSampler::Sample(SampleKind kind, int64_t rows, uint64_t seed,
                                                    int64_t through_index) {
  const SampleSpec spec{.kind = kind, .batch_size = rows, .seed = seed, .split = Split::kTrain};
  training::PeerWait wait("rows of the replay buffer", stop_, clock_);
  for (;;) {
    absl::StatusOr<TransitionBatch> batch = TryOnce(spec, through_index);
    if (batch.ok()) {
      wait.Succeeded();
      return batch;
    }
    if (!IsTransient(batch.status()) && !stop_.stopped()) return batch.status();
    if (wait.waited() > kGiveUpAfter) return batch.status();
    if (!wait.Pause(batch.status())) return absl::CancelledError("stopped while sampling");
  }
}

absl::StatusOr<TransitionBatch> RealSampler::TryOnce(const SampleSpec& spec,
                                                     int64_t through_index) {
  TANDEM_ASSIGN_OR_RETURN(const std::unique_ptr<SampleStream> stream, replay_.OpenSample(spec));
  TANDEM_RETURN_IF_ERROR(stream->Request(1, through_index));
  TANDEM_ASSIGN_OR_RETURN(SampledBatch sampled, stream->Receive(kReceiveTimeout));
  TANDEM_RETURN_IF_ERROR(Check(sampled.transitions, spec));
  return std::move(sampled.transitions);
}

absl::Status RealSampler::Check(const TransitionBatch& batch, const SampleSpec& spec) const {
  const auto has = [&spec](const auto& column, int64_t width) {
    return static_cast<int64_t>(column.size()) == spec.batch_size * width;
  };
  const bool states = batch.obs_dim == obs_dim_ && has(batch.observations, obs_dim_);
  const bool rest = batch.action_dim == action_dim_ && has(batch.actions, action_dim_) &&
                    has(batch.rewards, 1) && has(batch.next_observations, obs_dim_) &&
                    has(batch.terminated, 1);
  if (states && (rest || spec.kind == SampleKind::kStartStates)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("sample: expected ", spec.batch_size, " whole rows of ", obs_dim_,
                   " observations and ", action_dim_, " actions, got ", batch.size(), " of ",
                   batch.obs_dim, " and ", batch.action_dim, " or a column of another length"));
}

}  // namespace tandem::policy_trainer
