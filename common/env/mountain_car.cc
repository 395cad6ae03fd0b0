#include "common/env/mountain_car.h"
#include "common/env/termination.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tandem {
namespace {

constexpr double kMinPosition = -1.2;
constexpr double kMaxPosition = 0.6;
constexpr double kMaxSpeed = 0.07;
constexpr double kGravity = 0.0025;
constexpr double kPush = 0.001;
constexpr double kPower = 0.0015;
constexpr double kFlag = 0.5;
constexpr double kContinuousFlag = 0.45;
constexpr int64_t kChoices = 3;

// Position and speed of the car.
template <typename T>
struct Car {
  T position, speed;
};

// One step, all in T: `pushed` is what the motor and the slope add to the speed.
template <typename T>
Car<T> Drive(Car<T> car, T pushed) {
  const T top = static_cast<T>(kMaxSpeed), left = static_cast<T>(kMinPosition);
  car.speed = std::clamp(car.speed + pushed, -top, top);
  car.position = std::clamp(car.position + car.speed, left, static_cast<T>(kMaxPosition));
  if (car.position == left && car.speed < 0) car.speed = 0;
  return car;
}

template <typename T>
bool AtFlag(T position, T speed, double flag) {
  return position >= static_cast<T>(flag) && speed >= 0;
}

EnvironmentSpec Spec(const char* name, BoxSpace action, int64_t steps) {
  EnvironmentSpec spec;
  spec.name = name;
  const float speed = static_cast<float>(kMaxSpeed);
  spec.observation = {{static_cast<float>(kMinPosition), -speed},
                      {static_cast<float>(kMaxPosition), speed}};
  spec.action = std::move(action);
  spec.max_episode_steps = steps;
  return spec;
}

class MountainCarBase : public Simulation {
 public:
  size_t state_dim() const override { return 2; }

 protected:
  using Simulation::Simulation;

  void DrawState(Rng& rng, double scale, std::span<double> state) const override {
    state[0] = std::clamp(-0.5 + scale * rng.Uniform(-0.1, 0.1), kMinPosition, kMaxPosition);
    state[1] = 0;
  }
  absl::Status StateFrom(std::span<const float> observation,
                         std::span<double> state) const override {
    std::copy(observation.begin(), observation.end(), state.begin());
    return absl::OkStatus();
  }
  void Enter(std::span<const double> state) override { car_ = {state[0], state[1]}; }
  void Observe(std::span<float> observation) const override {
    observation[0] = static_cast<float>(car_.position);
    observation[1] = static_cast<float>(car_.speed);
  }

  Car<double> car_ = {};
};

class MountainCar : public MountainCarBase {
 public:
  explicit MountainCar(const EnvironmentOptions& options)
      : MountainCarBase(
            Spec("mountain_car", SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices).flat(),
                 200),
            options) {}

  SpaceLayout action_layout() const override {
    return SpaceLayout::OfChoice(SpaceLayout::Use::kAction, kChoices);
  }

 protected:
  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    const double push = static_cast<double>(HighestScore(action) - 1) * kPush;
    car_ = Drive(car_, push + std::cos(3 * car_.position) * -kGravity);
    return StepResult{.reward = -1, .terminated = AtFlag(car_.position, car_.speed, kFlag)};
  }
};

class MountainCarContinuous : public MountainCarBase {
 public:
  explicit MountainCarContinuous(const EnvironmentOptions& options)
      : MountainCarBase(Spec("mountain_car_continuous", {{-1}, {1}}, 999), options) {}

 protected:
  void Enter(std::span<const double> state) override {
    MountainCarBase::Enter(state);
    rounded_ = false;
  }

  absl::StatusOr<StepResult> Advance(std::span<const float> action) override {
    // The first step of an episode is computed in float64, the others in float32.
    const bool arrived = rounded_ ? DriveIn<float>(action[0]) : DriveIn<double>(action[0]);
    rounded_ = true;
    const double cost = std::pow(static_cast<double>(action[0]), 2) * 0.1;
    return StepResult{.reward = static_cast<float>((arrived ? 100.0 : 0.0) - cost),
                      .terminated = arrived};
  }

 private:
  template <typename T>
  bool DriveIn(float force) {
    const Car<T> from = {static_cast<T>(car_.position), static_cast<T>(car_.speed)};
    const double slope = kGravity * std::cos(static_cast<double>(T{3} * from.position));
    const float pushed = force * static_cast<float>(kPower) - static_cast<float>(slope);
    const Car<T> to = Drive<T>(from, pushed);
    car_ = {static_cast<float>(to.position), static_cast<float>(to.speed)};
    return AtFlag(to.position, to.speed, kContinuousFlag);
  }

  bool rounded_ = false;  // the state is one that a step left, in float32
};

}  // namespace

absl::StatusOr<std::unique_ptr<Simulation>> MakeMountainCar(const EnvironmentOptions& options) {
  return std::make_unique<MountainCar>(options);
}

absl::StatusOr<std::unique_ptr<Simulation>> MakeMountainCarContinuous(
    const EnvironmentOptions& options) {
  return std::make_unique<MountainCarContinuous>(options);
}

void MountainCarTermination(std::span<const float> next_observations, int64_t obs_dim,
                            std::span<uint8_t> out) {
  EndedRows(next_observations, obs_dim, out,
            [](std::span<const float> row) { return AtFlag(row[0], row[1], kFlag); });
}

void MountainCarContinuousTermination(std::span<const float> next_observations, int64_t obs_dim,
                                      std::span<uint8_t> out) {
  EndedRows(next_observations, obs_dim, out,
            [](std::span<const float> row) { return AtFlag(row[0], row[1], kContinuousFlag); });
}

}  // namespace tandem
