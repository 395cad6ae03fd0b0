#include "common/env/inverted_pendulum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/env/mujoco_model.h"

namespace tandem {
namespace {

constexpr int kFrameSkip = 2;
constexpr double kResetNoise = 0.01;
constexpr double kMaxAngle = 0.2;

class InvertedPendulum : public Simulation {
 public:
  InvertedPendulum(EnvironmentSpec spec, const EnvironmentOptions& options, MujocoModel model,
                   MujocoData data)
      : Simulation(std::move(spec), options), model_(std::move(model)), data_(std::move(data)) {}

  size_t state_dim() const override { return static_cast<size_t>(model_->nq + model_->nv); }

 protected:
  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    for (double& x : state) x = scale * rng.Uniform(-kResetNoise, kResetNoise);
    for (int i = 0; i < model_->nq; ++i) state[static_cast<size_t>(i)] += model_->qpos0[i];
  }

  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    std::copy(observation.begin(), observation.end(), state.begin());
    return absl::OkStatus();
  }

  void Enter(std::span<const double> state) override {
    mj_resetData(model_.get(), data_.get());
    const auto qvel = state.begin() + model_->nq;
    std::copy(state.begin(), qvel, data_->qpos);
    std::copy(qvel, state.end(), data_->qvel);
    mj_forward(model_.get(), data_.get());
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    for (int i = 0; i < model_->nu; ++i) data_->ctrl[i] = action[static_cast<size_t>(i)];
    for (int i = 0; i < kFrameSkip; ++i) mj_step(model_.get(), data_.get());
    if (BadNumberWarnings(*data_) > 0) {
      return absl::InternalError(
          absl::StrCat(spec().name, ": the simulation diverged at ", data_->time, " s"));
    }
    const bool terminated = std::abs(data_->qpos[1]) > kMaxAngle;
    return StepResult{.reward = terminated ? 0.0f : 1.0f, .terminated = terminated};
  }

  void Observe(std::span<float> observation) const override {
    for (int i = 0; i < model_->nq; ++i) {
      observation[static_cast<size_t>(i)] = static_cast<float>(data_->qpos[i]);
    }
    for (int i = 0; i < model_->nv; ++i) {
      observation[static_cast<size_t>(model_->nq + i)] = static_cast<float>(data_->qvel[i]);
    }
  }

 private:
  const MujocoModel model_;
  const MujocoData data_;
};

EnvironmentSpec Spec(const mjModel& model) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const size_t obs_dim = static_cast<size_t>(model.nq + model.nv);
  EnvironmentSpec spec;
  spec.name = "inverted_pendulum";
  spec.observation = {std::vector<float>(obs_dim, -kInf), std::vector<float>(obs_dim, kInf)};
  for (int i = 0; i < model.nu; ++i) {
    spec.action.low.push_back(static_cast<float>(model.actuator_ctrlrange[2 * i]));
    spec.action.high.push_back(static_cast<float>(model.actuator_ctrlrange[2 * i + 1]));
  }
  spec.max_episode_steps = 1000;
  return spec;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeInvertedPendulum(
    const EnvironmentOptions& options) {
  constexpr char kFile[] = "inverted_pendulum.xml";
  TANDEM_ASSIGN_OR_RETURN(MujocoModel model, LoadMujocoModel(kFile));
  if (model->nq != 2 || model->nv != 2 || model->nu != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(kFile, ": expected 2 positions, 2 velocities and 1 actuator, got ", model->nq,
                     ", ", model->nv, " and ", model->nu));
  }
  EnvironmentSpec spec = Spec(*model);
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  MujocoData data(mj_makeData(model.get()));
  if (data == nullptr) return absl::ResourceExhaustedError("MuJoCo: no memory for a simulation");
  return std::make_unique<InvertedPendulum>(std::move(spec), options, std::move(model),
                                            std::move(data));
}

void InvertedPendulumTermination(std::span<const float> next_observations, int64_t obs_dim,
                                 std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const auto row =
        next_observations.subspan(i * static_cast<size_t>(obs_dim), static_cast<size_t>(obs_dim));
    const bool finite =
        std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
    out[i] = !finite || std::abs(static_cast<double>(row[1])) > kMaxAngle ? 1 : 0;
  }
}

}  // namespace tandem
