#include "common/objective/useful_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/dynamics/rng_state.h"
#include "common/nn/normal_stream.h"
#include "common/policy/sac_snapshot.h"

namespace tandem::objective {
namespace {

constexpr double kMostWeight = 0.1;
constexpr char kStepsKey[] = "useful_model.steps";
constexpr char kRngKey[] = "useful_model.rng";

bool InRange(double weight) { return weight >= 0 && weight <= kMostWeight; }

}  // namespace

absl::StatusOr<std::unique_ptr<UsefulModel>> UsefulModel::Create(
    const EnvironmentSpec& spec, const UsefulModelOptions& options) {
  if (!InRange(options.value_weight) || !InRange(options.ratio_weight) || options.ramp_steps < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("model objective: expected weights in [0, ", kMostWeight,
                     "] and ramp_steps >= 0, got value_weight ", options.value_weight,
                     ", ratio_weight ", options.ratio_weight, ", ramp_steps ", options.ramp_steps));
  }
  return std::unique_ptr<UsefulModel>(new UsefulModel(spec, options));
}

UsefulModel::UsefulModel(const EnvironmentSpec& spec, const UsefulModelOptions& options)
    : spec_(spec), options_(options), rng_(options.seed, "useful_model") {}

absl::Status UsefulModel::SetCritic(const nn::TensorFile& policy_snapshot) {
  TANDEM_ASSIGN_OR_RETURN(const policy::SacMetadata metadata,
                          policy::SacMetadata::Import(policy_snapshot, spec_));
  TANDEM_ASSIGN_OR_RETURN(
      auto value, nn::StateValue::Load(policy_snapshot, policy::NetworkSpec(spec_, metadata.hidden),
                                       metadata.temperature, options_.device));
  value_ = std::move(value);
  return absl::OkStatus();
}

bool UsefulModel::active() const {
  return (options_.value_weight > 0 && value_ != nullptr) ||
         (options_.ratio_weight > 0 && classifier_ != nullptr);
}

void UsefulModel::SaveState(nn::TensorFile* state) const {
  state->metadata[kStepsKey] = absl::StrCat(steps_);
  dynamics::SaveRng(kRngKey, rng_, state);
}

absl::Status UsefulModel::LoadState(const nn::TensorFile& state) {
  TANDEM_ASSIGN_OR_RETURN(const int64_t steps, nn::FindInt(state, kStepsKey));
  TANDEM_ASSIGN_OR_RETURN(rng_, dynamics::LoadRng(kRngKey, state));
  steps_ = std::max<int64_t>(0, steps);
  return absl::OkStatus();
}

double UsefulModel::ramp() const {
  if (options_.ramp_steps == 0) return 1;
  return std::min(1.0, static_cast<double>(steps_) / static_cast<double>(options_.ramp_steps));
}

void UsefulModel::Subtract(double weight, const char* term, std::span<float> gradients) {
  if (!AllFinite(outputs_) || !AllFinite(scratch_)) {
    if (!std::exchange(left_out_told_, true)) {
      LogWarning(absl::StrCat("the ", term,
                              " of the model's samples is not finite: it is left out "
                              "of the model's loss wherever that is so"));
    }
    return;
  }
  const float by = static_cast<float>(ramp() * weight);
  for (size_t i = 0; i < gradients.size(); ++i) gradients[i] -= by * scratch_[i];
}

absl::Status UsefulModel::Gradients(std::span<const float> observations,
                                    std::span<const float> actions,
                                    std::span<const float> next_observations,
                                    std::span<float> gradients) {
  const int64_t rows = static_cast<int64_t>(observations.size()) / spec_.observation.dim();
  std::fill(gradients.begin(), gradients.end(), 0.0f);
  outputs_.resize(rows);
  scratch_.resize(gradients.size());
  if (options_.value_weight > 0 && value_ != nullptr) {
    noise_.resize(rows * spec_.action.dim());
    nn::NormalStream(rng_.Next()).Fill(noise_);
    TANDEM_RETURN_IF_ERROR(value_->ValueGradients(next_observations, noise_, outputs_, scratch_));
    Subtract(options_.value_weight, "value", gradients);
  }
  if (options_.ratio_weight > 0 && classifier_ != nullptr) {
    TANDEM_RETURN_IF_ERROR(
        classifier_->LogitGradients(observations, actions, next_observations, outputs_, scratch_));
    Subtract(options_.ratio_weight, "log-ratio", gradients);
  }
  ++steps_;
  return absl::OkStatus();
}

}  // namespace tandem::objective
