#include "common/env/acrobot.h"
#include "common/env/termination.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace tandem {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kGravity = 9.8;
constexpr double kMass = 1;        // of each link [kg]
constexpr double kLength = 1;      // of the first link [m]
constexpr double kCentre = 0.5;    // of mass, from the upper end of each link [m]
constexpr double kInertia = 1;     // of each link [kg m^2]
constexpr double kTimeStep = 0.2;  // [s]
constexpr double kMaxSpeed1 = 4 * kPi;
constexpr double kMaxSpeed2 = 9 * kPi;
constexpr int64_t kChoices = 3;

using State = std::array<double, 4>;  // two angles, their speeds

State Plus(const State& state, double time, const State& slope) {
  State sum;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = state[i] + time * slope[i];
  return sum;
}

// The derivative of the state, in the notation of Sutton and Barto's book.
State Derivative(const State& state, double torque) {
  const auto& [theta1, theta2, speed1, speed2] = state;
  const double coupling = kMass * kLength * kCentre;
  const double cosine = std::cos(theta2), sine = std::sin(theta2);
  const double d1 =
      kMass * kCentre * kCentre +
      kMass * (kLength * kLength + kCentre * kCentre + 2 * kLength * kCentre * cosine) +
      2 * kInertia;
  const double d2 = kMass * (kCentre * kCentre + kLength * kCentre * cosine) + kInertia;
  const double phi2 = kMass * kCentre * kGravity * std::cos(theta1 + theta2 - kPi / 2);
  const double phi1 = -coupling * speed2 * speed2 * sine - 2 * coupling * speed2 * speed1 * sine +
                      (kMass * kCentre + kMass * kLength) * kGravity * std::cos(theta1 - kPi / 2) +
                      phi2;
  const double acceleration2 =
      (torque + d2 / d1 * phi1 - coupling * speed1 * speed1 * sine - phi2) /
      (kMass * kCentre * kCentre + kInertia - d2 * d2 / d1);
  const double acceleration1 = -(d2 * acceleration2 + phi1) / d1;
  return {speed1, speed2, acceleration1, acceleration2};
}

State RungeKutta(const State& state, double torque) {
  const State k1 = Derivative(state, torque);
  const State k2 = Derivative(Plus(state, kTimeStep / 2, k1), torque);
  const State k3 = Derivative(Plus(state, kTimeStep / 2, k2), torque);
  const State k4 = Derivative(Plus(state, kTimeStep, k3), torque);
  State next;
  for (size_t i = 0; i < next.size(); ++i) {
    next[i] = state[i] + kTimeStep / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
  }
  return next;
}

class Acrobot : public Simulation {
 public:
  explicit Acrobot(const EnvironmentOptions& options) : Simulation(Spec(), options) {}

  SpaceLayout action_layout() const override {
    return SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices);
  }
  size_t state_dim() const override { return state_.size(); }

 protected:
  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    for (double& x : state) x = scale * rng.Uniform(-0.1, 0.1);
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    state[0] = std::atan2(static_cast<double>(observation[1]), observation[0]);
    state[1] = std::atan2(static_cast<double>(observation[3]), observation[2]);
    state[2] = observation[4];
    state[3] = observation[5];
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override {
    std::copy(state.begin(), state.end(), state_.begin());
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    state_ = RungeKutta(state_, static_cast<double>(HighestScore(action) - 1));
    state_[0] = std::remainder(state_[0], 2 * kPi);
    state_[1] = std::remainder(state_[1], 2 * kPi);
    state_[2] = std::clamp(state_[2], -kMaxSpeed1, kMaxSpeed1);
    state_[3] = std::clamp(state_[3], -kMaxSpeed2, kMaxSpeed2);
    const bool up = -std::cos(state_[0]) - std::cos(state_[1] + state_[0]) > 1;
    return StepResult{.reward = up ? 0.0f : -1.0f, .terminated = up};
  }

  void Observe(std::span<float> observation) const override {
    for (size_t link = 0; link < 2; ++link) {
      observation[2 * link] = static_cast<float>(std::cos(state_[link]));
      observation[2 * link + 1] = static_cast<float>(std::sin(state_[link]));
      observation[4 + link] = static_cast<float>(state_[2 + link]);
    }
  }

 private:
  static EnvironmentSpec Spec() {
    EnvironmentSpec spec;
    spec.name = "acrobot";
    const float speed1 = static_cast<float>(kMaxSpeed1), speed2 = static_cast<float>(kMaxSpeed2);
    spec.observation = {{-1, -1, -1, -1, -speed1, -speed2}, {1, 1, 1, 1, speed1, speed2}};
    spec.action = SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices).flat();
    spec.max_episode_steps = 500;
    return spec;
  }

  State state_ = {};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeAcrobot(const EnvironmentOptions& options) {
  return std::make_unique<Acrobot>(options);
}

void AcrobotTermination(std::span<const float> next_observations, int64_t obs_dim,
                        std::span<uint8_t> out) {
  EndedRows(next_observations, obs_dim, out, [](std::span<const float> row) {
    const double cosine1 = row[0], sine1 = row[1], cosine2 = row[2], sine2 = row[3];
    return -cosine1 - (cosine1 * cosine2 - sine1 * sine2) > 1;
  });
}

}  // namespace tandem
