#include "common/env/cartpole_continuous.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

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

bool Fallen(double position, double angle) {
  return position < -kMaxPosition || position > kMaxPosition || angle < -kMaxAngle ||
         angle > kMaxAngle;
}

EnvironmentSpec Spec() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float position = static_cast<float>(2 * kMaxPosition);
  const float angle = static_cast<float>(2 * kMaxAngle);
  EnvironmentSpec spec;
  spec.name = "cartpole_continuous";
  spec.observation = {{-position, -kInf, -angle, -kInf}, {position, kInf, angle, kInf}};
  spec.action = {{-1}, {1}};
  spec.max_episode_steps = 200;
  return spec;
}

class CartpoleContinuous : public Simulation {
 public:
  explicit CartpoleContinuous(const EnvironmentOptions& options) : Simulation(Spec(), options) {}

  size_t state_dim() const override { return state_.size(); }

 protected:
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

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    auto& [x, x_dot, theta, theta_dot] = state_;
    const double cosine = std::cos(theta);
    const double sine = std::sin(theta);
    const double push =
        (kForce * action[0] + kPoleMassLength * theta_dot * theta_dot * sine) / kTotalMass;
    const double theta_acc = (kGravity * sine - cosine * push) /
                             (kHalfLength * (4.0 / 3.0 - kPoleMass * cosine * cosine / kTotalMass));
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

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeCartpoleContinuous(
    const EnvironmentOptions& options) {
  return std::make_unique<CartpoleContinuous>(options);
}

void CartpoleTermination(std::span<const float> next_observations, int64_t obs_dim,
                         std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const auto row = next_observations.subspan(i * static_cast<size_t>(obs_dim));
    out[i] = Fallen(row[0], row[2]) ? 1 : 0;
  }
}

}  // namespace tandem
