#include "common/env/pendulum.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tandem {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kGravity = 10.0;
constexpr double kTimeStep = 0.05;
constexpr double kMaxSpeed = 8.0;
constexpr float kMaxTorque = 2.0f;

// The angle in [-pi, pi).
double Normalize(double angle) {
  double turned = std::fmod(angle + kPi, 2 * kPi);
  if (turned < 0) turned += 2 * kPi;
  return turned - kPi;
}

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.name = "pendulum";
  spec.observation = {{-1, -1, -static_cast<float>(kMaxSpeed)},
                      {1, 1, static_cast<float>(kMaxSpeed)}};
  spec.action = {{-kMaxTorque}, {kMaxTorque}};
  spec.max_episode_steps = 200;
  return spec;
}

class Pendulum : public Simulation {
 public:
  explicit Pendulum(const EnvironmentOptions& options) : Simulation(Spec(), options) {}

  size_t state_dim() const override { return 2; }

 protected:
  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    state[0] = rng.Uniform(-kPi, kPi);  // the whole circle: no range is wider
    state[1] = scale * rng.Uniform(-1, 1);
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    state[0] = std::atan2(static_cast<double>(observation[1]), observation[0]);
    state[1] = std::clamp<double>(observation[2], -kMaxSpeed, kMaxSpeed);
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override {
    angle_ = state[0];
    speed_ = state[1];
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    // Gymnasium's terms in the torque are float32, for its actions are; the others are float64.
    const float torque = action[0];
    const double angle = Normalize(angle_);
    const double cost =
        angle * angle + 0.1 * speed_ * speed_ + static_cast<double>(0.001f * (torque * torque));
    const double acceleration =
        3 * kGravity / 2 * std::sin(angle_) + static_cast<double>(3.0f * torque);
    speed_ = std::clamp(speed_ + acceleration * kTimeStep, -kMaxSpeed, kMaxSpeed);
    angle_ += speed_ * kTimeStep;
    return StepResult{.reward = static_cast<float>(-cost)};
  }

  void Observe(std::span<float> observation) const override {
    observation[0] = static_cast<float>(std::cos(angle_));
    observation[1] = static_cast<float>(std::sin(angle_));
    observation[2] = static_cast<float>(speed_);
  }

 private:
  double angle_ = 0;
  double speed_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakePendulum(const EnvironmentOptions& options) {
  return std::make_unique<Pendulum>(options);
}

}  // namespace tandem
