#include "common/dynamics/simulator_model.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/dynamics/fit_data.h"
#include "common/dynamics/normaliser.h"
#include "common/dynamics/planted_error.h"
#include "common/env/simulation.h"
#include "common/nn/snapshot_checks.h"

namespace tandem::dynamics {
namespace {

constexpr nn::SnapshotChecks kChecks("model snapshot");
/// The spread that Predict() gives its exact means, in standard deviations of each target: above
/// the rounding of an observation, far below any learned model's.
constexpr float kTinyStd = 1e-3f;
constexpr float kConstantTargetStd = 1e-3f;

class SimulatorModel : public DynamicsModel {
 public:
  SimulatorModel(std::unique_ptr<Simulation> simulation, Normaliser targets, PlantedError planted)
      : simulation_(std::move(simulation)),
        obs_dim_(simulation_->spec().observation.dim()),
        action_dim_(simulation_->spec().action.dim()),
        targets_(std::move(targets)),
        planted_(planted) {}

  int64_t obs_dim() const override { return obs_dim_; }
  int64_t action_dim() const override { return action_dim_; }
  const std::vector<int>& elites() const override { return elites_; }
  const std::vector<float>& target_stds() const override { return targets_.std; }

  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng&,
                    ModelStep* step) override {
    const size_t rows = observations.size() / static_cast<size_t>(obs_dim_);
    const size_t obs = static_cast<size_t>(obs_dim_), act = static_cast<size_t>(action_dim_);
    if (observations.size() != rows * obs || actions.size() != rows * act) {
      return absl::InvalidArgumentError(
          absl::StrCat("simulator: expected observations [B,", obs, "] and actions [B,", act,
                       "], got ", observations.size(), " and ", actions.size(), " numbers"));
    }
    step->next_observations.resize(rows * obs);
    step->rewards.resize(rows);
    step->terminated.resize(rows);
    const double bonus = planted_.RewardOf(0, 1);
    for (size_t i = 0; i < rows; ++i) {
      const auto from = observations.subspan(i * obs, obs);
      const auto to = std::span(step->next_observations).subspan(i * obs, obs);
      const auto result = StepFrom(from, actions.subspan(i * act, act), to);
      if (!result.ok()) {  // it diverged, the action is not finite, or the state is not known
        std::fill(to.begin(), to.end(), std::numeric_limits<float>::quiet_NaN());
        step->rewards[i] = std::numeric_limits<float>::quiet_NaN();
        step->terminated[i] = 0;
        continue;
      }
      step->rewards[i] = result->reward;
      if (bonus != 0 && planted_.Contains(from.data())) {
        step->rewards[i] += static_cast<float>(bonus);
      }
      step->terminated[i] = result->terminated ? 1 : 0;
    }
    return absl::OkStatus();
  }

  absl::Status Predict(int, std::span<const float> observations, std::span<const float> actions,
                       MemberPrediction* out) override {
    Rng unused(0);
    TANDEM_RETURN_IF_ERROR(Step(observations, actions, unused, &step_));
    const size_t rows = step_.rewards.size(), obs = static_cast<size_t>(obs_dim_);
    out->next_means = step_.next_observations;
    out->reward_means = step_.rewards;
    out->next_stds.resize(rows * obs);
    for (size_t i = 0; i < rows * obs; ++i) out->next_stds[i] = kTinyStd * targets_.std[i % obs];
    out->reward_stds.assign(rows, kTinyStd * targets_.std.back());
    out->termination_probs.assign(step_.terminated.begin(), step_.terminated.end());
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<StepResult> StepFrom(std::span<const float> from, std::span<const float> action,
                                      std::span<float> to) {
    TANDEM_RETURN_IF_ERROR(simulation_->SetObservation(from));
    return simulation_->Step(action, to);
  }

  const std::unique_ptr<Simulation> simulation_;  ///< One for all rows: nothing is loaded anew.
  const int64_t obs_dim_, action_dim_;
  const std::vector<int> elites_ = {0};
  const Normaliser targets_;
  const PlantedError planted_;
  ModelStep step_;
};

/// The environment, if an observation determines its state, and state and action its step.
absl::StatusOr<std::unique_ptr<Simulation>> SimulationOf(const EnvironmentSpec& spec) {
  TANDEM_ASSIGN_OR_RETURN(auto simulation, MakeSimulation(spec.name));
  if (simulation->noisy()) {
    return absl::FailedPreconditionError(
        absl::StrCat("simulator: a step of ", spec.name, " draws random numbers, ",
                     "so that one simulation is no exact model of it"));
  }
  std::vector<float> observation(static_cast<size_t>(simulation->spec().observation.dim()));
  TANDEM_RETURN_IF_ERROR(simulation->Reset(0, observation));
  TANDEM_RETURN_IF_ERROR(simulation->SetObservation(observation));
  return simulation;
}

class SimulatorLearner : public EnsembleLearner {
 public:
  explicit SimulatorLearner(const EnvironmentSpec& spec) : spec_(spec) {
    const size_t targets = static_cast<size_t>(spec.observation.dim()) + 1;
    targets_ = {std::vector<float>(targets, 0), std::vector<float>(targets, 1)};
  }

  absl::StatusOr<FitReport> Fit(const TransitionBatch& train, const TransitionBatch& holdout,
                                const std::function<bool()>&) override {
    const auto began = std::chrono::steady_clock::now();
    if (train.size() == 0) return absl::InvalidArgumentError("simulator: no training rows");
    targets_ = Normaliser::Of(RawTargets(train), targets_.dim(), kConstantTargetStd);
    FitReport report;
    report.train_rows = train.size();
    report.holdout_rows = holdout.size();
    report.member_holdout_losses = {0};
    report.elites = {0};
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    report.seconds = took.count();
    return report;
  }

  nn::TensorFile ExportModel() const override {
    nn::TensorFile file;
    file.metadata["kind"] = std::string(kSimulatorKind);
    file.metadata["environment"] = spec_.name;
    file.metadata["obs_dim"] = absl::StrCat(spec_.observation.dim());
    file.metadata["action_dim"] = absl::StrCat(spec_.action.dim());
    file.metadata["members"] = "1";
    file.metadata["elites"] = "0";
    targets_.Export("target", &file);
    return file;
  }

  nn::TensorFile SaveState() const override { return ExportModel(); }
  absl::Status LoadState(const nn::TensorFile& state) override {
    TANDEM_RETURN_IF_ERROR(LoadSimulatorModel(state, spec_).status());
    return targets_.Import("target", targets_.dim(), state);
  }

 private:
  const EnvironmentSpec spec_;
  Normaliser targets_;  ///< [obs_dim + 1]
};

}  // namespace

absl::StatusOr<std::unique_ptr<EnsembleLearner>> MakeSimulatorLearner(const EnvironmentSpec& spec) {
  TANDEM_RETURN_IF_ERROR(SimulationOf(spec).status());
  return std::make_unique<SimulatorLearner>(spec);
}

absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadSimulatorModel(const nn::TensorFile& snapshot,
                                                                  const EnvironmentSpec& spec) {
  TANDEM_RETURN_IF_ERROR(kChecks.Text(snapshot, "kind", kSimulatorKind));
  TANDEM_RETURN_IF_ERROR(kChecks.Text(snapshot, "environment", spec.name));
  TANDEM_RETURN_IF_ERROR(kChecks.Int(snapshot, "obs_dim", spec.observation.dim()));
  TANDEM_RETURN_IF_ERROR(kChecks.Int(snapshot, "action_dim", spec.action.dim()));
  Normaliser targets;
  TANDEM_RETURN_IF_ERROR(targets.Import("target", spec.observation.dim() + 1, snapshot));
  PlantedError planted;
  TANDEM_RETURN_IF_ERROR(planted.Import(snapshot, spec.observation.dim()));
  TANDEM_ASSIGN_OR_RETURN(auto simulation, SimulationOf(spec));
  if (simulation->spec().observation.dim() != spec.observation.dim() ||
      simulation->spec().action.dim() != spec.action.dim()) {
    return absl::InvalidArgumentError(
        absl::StrCat("simulator: ", spec.name, " has other sizes than the run's environment"));
  }
  return std::make_unique<SimulatorModel>(std::move(simulation), std::move(targets), planted);
}

}  // namespace tandem::dynamics
