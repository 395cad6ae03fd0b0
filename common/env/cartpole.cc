#include "common/env/cartpole.h"
#include "common/env/termination.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace tandem {
namespace {

constexpr double kGravity = 9.8;
constexpr double kPoleMass = 0.1;
constexpr double kTotalMass = 1.0 + kPoleMass;
constexpr double kHalfLength = 0.5;
constexpr double kPoleMassLength = kPoleMass * kHalfLength;
constexpr double kForce = 10.0;
constexpr double kTimeStep = 0.02;
constexpr double kMaxAngle = 12 * 2 * std::numbers::pi / 360;
constexpr double kMaxPosition = 2.4;
constexpr int64_t kChoices = 2;

bool Fallen(double position, double angle) {
  return position < -kMaxPosition || position > kMaxPosition || angle < -kMaxAngle ||
         angle > kMaxAngle;
}

EnvironmentSpec Spec(const char* name, BoxSpace action, int64_t steps) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float position = static_cast<float>(2 * kMaxPosition);
  const float angle = static_cast<float>(2 * kMaxAngle);
  EnvironmentSpec spec;
  spec.name = name;
  spec.observation = {{-position, -kInf, -angle, -kInf}, {position, kInf, angle, kInf}};
  spec.action = std::move(action);
  spec.max_episode_steps = steps;
  return spec;
}

class CartpoleBase : public Simulation {
 public:
  size_t state_dim() const override { return state_.size(); }

 protected:
  using Simulation::Simulation;

  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    for (double& x : state) x = scale * rng.Uniform(-0.05, 0.05);
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    std::copy(observation.begin(), observation.end(), state.begin());
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override {
    std::copy(state.begin(), state.end(), state_.begin());
  }

  StepResult Push(double force) {
    auto& [x, x_dot, theta, theta_dot] = state_;
    const double cosine = std::cos(theta);
    const double sine = std::sin(theta);
    const double push = (force + kPoleMassLength * (theta_dot * theta_dot) * sine) / kTotalMass;
    const double theta_acc =
        (kGravity * sine - cosine * push) /
        (kHalfLength * (4.0 / 3.0 - kPoleMass * (cosine * cosine) / kTotalMass));
    const double x_acc = push - kPoleMassLength * theta_acc * cosine / kTotalMass;
    x += kTimeStep * x_dot;  // explicit Euler: positions move with the old speeds
    x_dot += kTimeStep * x_acc;
    theta += kTimeStep * theta_dot;
    theta_dot += kTimeStep * theta_acc;
    return StepResult{.reward = 1, .terminated = Fallen(x, theta)};
  }

  void Observe(std::span<float> observation) const override {
    for (size_t i = 0; i < state_.size(); ++i) observation[i] = static_cast<float>(state_[i]);
  }

 private:
  std::array<double, 4> state_ = {};
};

class Cartpole : public CartpoleBase {
 public:
  explicit Cartpole(const EnvironmentOptions& options)
      : CartpoleBase(Spec("cartpole",
                          SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices).flat(), 500),
                     options) {}

  SpaceLayout action_layout() const override {
    return SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices);
  }

 protected:
  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    return Push(HighestScore(action) == 1 ? kForce : -kForce);
  }
};

class CartpoleContinuous : public CartpoleBase {
 public:
  explicit CartpoleContinuous(const EnvironmentOptions& options)
      : CartpoleBase(Spec("cartpole_continuous", {{-1}, {1}}, 200), options) {}

 protected:
  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    return Push(kForce * action[0]);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpole(const EnvironmentOptions& options) {
  return std::make_unique<Cartpole>(options);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpoleContinuous(
    const EnvironmentOptions& options) {
  return std::make_unique<CartpoleContinuous>(options);
}

void CartpoleTermination(std::span<const float> next_observations, int64_t obs_dim,
                         std::span<uint8_t> out) {
  EndedRows(next_observations, obs_dim, out,
            [](std::span<const float> row) { return Fallen(row[0], row[2]); });
}

}  // namespace tandem
