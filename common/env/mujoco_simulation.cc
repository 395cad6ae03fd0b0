#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/env/mujoco_model.h"
#include "common/env/mujoco_task.h"
#include "common/env/termination.h"

namespace tandem {
namespace {

using Progress = MujocoReward::Progress;
using Shown = MujocoPart::Shown;
using Source = MujocoPart::Source;

constexpr int kTorsoBody = 1;

double Clip(double x, double limit) { return std::clamp(x, -limit, limit); }

/// Whether positions are in their ranges; positions[0] is number `skipped` of the state.
template <typename Number>
bool Within(std::span<const MujocoRange> ranges, std::span<const Number> positions, int skipped) {
  return std::all_of(ranges.begin(), ranges.end(), [&](const MujocoRange& range) {
    const double x = positions[static_cast<size_t>(range.position - skipped)];
    return range.closed ? range.low <= x && x <= range.high : range.low < x && x < range.high;
  });
}

template <typename Number>
bool AllBelow(double limit, std::span<const Number> numbers) {
  return std::all_of(numbers.begin(), numbers.end(),
                     [limit](double x) { return -limit < x && x < limit; });
}

/// All numbers of a source, in data that stays where it is.
std::span<const double> NumbersOf(Source source, const mjModel& model, const mjData& data) {
  const auto some = [](const double* from, int64_t count) {
    return std::span(from, static_cast<size_t>(count));
  };
  switch (source) {
    case Source::kPositions:
      return some(data.qpos, model.nq);
    case Source::kSpeeds:
      return some(data.qvel, model.nv);
    case Source::kConstraintForces:
      return some(data.qfrc_constraint, model.nv);
    case Source::kActuatorForces:
      return some(data.qfrc_actuator, model.nv);
    case Source::kBodyPositions:
      return some(data.xpos, 3 * model.nbody);
    case Source::kBodyInertias:
      return some(data.cinert, 10 * model.nbody);
    case Source::kBodySpeeds:
      return some(data.cvel, 6 * model.nbody);
    case Source::kContactForces:
      return some(data.cfrc_ext, 6 * model.nbody);
  }
  return {};
}

/// A MujocoPart as it is read at every step.
struct Stretch {
  std::span<const double> numbers;
  std::span<const double> subtracted;  ///< As many, or none.
  double limit;
  Shown shown;

  void Write(std::span<float> out) const {
    for (size_t i = 0; i < numbers.size(); ++i) {
      double x = numbers[i];
      if (!subtracted.empty()) x -= subtracted[i];
      if (shown == Shown::kSine) x = std::sin(x);
      if (shown == Shown::kCosine) x = std::cos(x);
      out[i] = static_cast<float>(Clip(x, limit));
    }
  }
};

Stretch StretchOf(const MujocoPart& part, const mjModel& model, const mjData& data) {
  const std::span<const double> all = NumbersOf(part.source, model, data);
  const size_t first = static_cast<size_t>(part.first);
  const size_t count = part.count < 0 ? all.size() - first : static_cast<size_t>(part.count);
  const auto subtracted = part.minus < 0 ? std::span<const double>()
                                         : all.subspan(static_cast<size_t>(part.minus), count);
  return {all.subspan(first, count), subtracted, part.limit, part.shown};
}

class MujocoSimulation : public Simulation {
 public:
  MujocoSimulation(const MujocoTask& task, EnvironmentSpec spec, const EnvironmentOptions& options,
                   std::shared_ptr<const mjModel> model, MujocoData data)
      : Simulation(std::move(spec), options),
        task_(task),
        model_(std::move(model)),
        data_(std::move(data)),
        step_seconds_(model_->opt.timestep * task.frame_skip),
        mass_(mj_getTotalmass(model_.get())),
        reads_contact_forces_(task.reward.contact != 0) {
    for (const MujocoPart& part : task.observation) {
      stretches_.push_back(StretchOf(part, *model_, *data_));
      reads_contact_forces_ |= part.source == Source::kContactForces;
    }
  }

  size_t state_dim() const override { return static_cast<size_t>(model_->nq + model_->nv); }

 protected:
  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    const auto positions = state.first(static_cast<size_t>(model_->nq));
    const MujocoStart& start = task_.start;
    for (size_t i = 0; i < positions.size(); ++i) {
      positions[i] = scale * rng.Uniform(-start.position_noise, start.position_noise);
      positions[i] += model_->qpos0[i];
    }
    for (double& speed : state.subspan(positions.size())) {
      speed = scale * (start.normal_speeds ? start.speed_noise * rng.Normal()
                                           : rng.Uniform(-start.speed_noise, start.speed_noise));
    }
    if (start.place != nullptr) start.place(rng, state);
  }

  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    if (task_.state_from == nullptr) return Simulation::StateFrom(observation, state);
    return task_.state_from(task_, observation, state);
  }

  void Enter(std::span<const double> state) override {
    mj_resetData(model_.get(), data_.get());
    const auto speeds = state.begin() + model_->nq;
    std::copy(state.begin(), speeds, data_->qpos);
    std::copy(speeds, state.end(), data_->qvel);
    mj_forward(model_.get(), data_.get());
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    const double before = ProgressMade();
    std::copy(action.begin(), action.end(), data_->ctrl);
    for (int i = 0; i < task_.frame_skip; ++i) mj_step(model_.get(), data_.get());
    // Gymnasium does so after every step; only the contact forces come from it.
    if (reads_contact_forces_) mj_rnePostConstraint(model_.get(), data_.get());
    if (BadNumberWarnings(*data_) > 0) {
      return absl::InternalError(
          absl::StrCat(spec().name, ": the simulation diverged at ", data_->time, " s"));
    }
    const bool healthy = Healthy();
    const double reward = Reward((ProgressMade() - before) / step_seconds_, healthy);
    return StepResult{.reward = static_cast<float>(reward), .terminated = !healthy};
  }

  void Observe(std::span<float> observation) const override {
    for (const Stretch& stretch : stretches_) {
      stretch.Write(observation);
      observation = observation.subspan(stretch.numbers.size());
    }
  }

 private:
  /// Of body positions MuJoCo's data has those at which it last evaluated forces, just before the
  /// positions after the step: so does Gymnasium read them.
  double ProgressMade() const {
    switch (task_.reward.progress) {
      case Progress::kNone:
        return 0;
      case Progress::kFirstPosition:
        return data_->qpos[0];
      case Progress::kTorso:
        return data_->xpos[3 * kTorsoBody];
      case Progress::kMassCentre:
        double sum = 0;
        for (int i = 0; i < model_->nbody; ++i) sum += model_->body_mass[i] * data_->xipos[3 * i];
        return sum / mass_;
    }
    return 0;
  }

  bool Healthy() const {
    const MujocoHealth& health = task_.health;
    const auto positions = NumbersOf(Source::kPositions, *model_, *data_);
    if (health.fallen != nullptr && health.fallen(*data_)) return false;
    if (!Within(health.ranges, positions, 0)) return false;
    if (health.state_limit == kUnbounded) return true;
    return AllBelow(health.state_limit, positions.subspan(2)) &&
           AllBelow(health.state_limit, NumbersOf(Source::kSpeeds, *model_, *data_));
  }

  double Reward(double speed, bool healthy) const {
    const MujocoReward& terms = task_.reward;
    double controls = 0;
    for (int i = 0; i < model_->nu; ++i) controls += data_->ctrl[i] * data_->ctrl[i];
    double reward = terms.forward * speed - terms.control * controls;
    if (healthy) reward += terms.alive;
    if (terms.contact != 0) {
      double forces = 0;
      for (const double force : NumbersOf(Source::kContactForces, *model_, *data_)) {
        const double clipped = Clip(force, terms.contact_force_limit);
        forces += clipped * clipped;
      }
      reward -= std::min(terms.contact * forces, terms.contact_cost_limit);
    }
    if (terms.cost != nullptr) reward -= terms.cost(*data_);
    return reward;
  }

  const MujocoTask& task_;
  const std::shared_ptr<const mjModel> model_;  // shared by all simulations of the task
  const MujocoData data_;
  const double step_seconds_;  // [s]
  const double mass_;          // of all bodies [kg]
  std::vector<Stretch> stretches_;
  bool reads_contact_forces_;
};

EnvironmentSpec SpecOf(const MujocoTask& task, const mjModel& model, const mjData& data) {
  size_t obs_dim = 0;
  for (const MujocoPart& part : task.observation) {
    obs_dim += StretchOf(part, model, data).numbers.size();
  }
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EnvironmentSpec spec;
  spec.name = task.name;
  spec.observation = {std::vector<float>(obs_dim, -kInf), std::vector<float>(obs_dim, kInf)};
  for (int i = 0; i < model.nu; ++i) {
    spec.action.low.push_back(static_cast<float>(model.actuator_ctrlrange[2 * i]));
    spec.action.high.push_back(static_cast<float>(model.actuator_ctrlrange[2 * i + 1]));
  }
  spec.max_episode_steps = task.max_episode_steps;
  return spec;
}

std::string InWords(const MujocoSizes& sizes) {
  return absl::StrCat(sizes.positions, " positions, ", sizes.speeds, " speeds, ", sizes.actuators,
                      " actuators and ", sizes.bodies, " bodies");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeMujocoSimulation(
    const MujocoTask& task, const EnvironmentOptions& options) {
  TANDEM_ASSIGN_OR_RETURN(std::shared_ptr<const mjModel> model, SharedMujocoModel(task.xml));
  const MujocoSizes& expected = task.sizes;
  const MujocoSizes got = {model->nq, model->nv, model->nu, model->nbody};
  if (got != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat(task.xml, ": expected ", InWords(expected), ", got ", InWords(got)));
  }
  MujocoData data(mj_makeData(model.get()));
  if (data == nullptr) return absl::ResourceExhaustedError("MuJoCo: no memory for a simulation");
  EnvironmentSpec spec = SpecOf(task, *model, *data);
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  return std::make_unique<MujocoSimulation>(task, std::move(spec), options, std::move(model),
                                            std::move(data));
}

void MujocoTerminal(const MujocoTask& task, std::span<const float> next_observations,
                    int64_t obs_dim, std::span<uint8_t> out) {
  const MujocoHealth& health = task.health;
  const int skipped = task.observation[0].first;
  EndedRows(next_observations, obs_dim, out, [&](std::span<const float> row) {
    const bool healthy =
        AllFinite(row) && Within(health.ranges, row, skipped) &&
        (health.state_limit == kUnbounded ||
         AllBelow(health.state_limit, row.subspan(static_cast<size_t>(2 - skipped)))) &&
        (health.seen_fallen == nullptr || !health.seen_fallen(row));
    return !healthy;
  });
}

}  // namespace tandem
