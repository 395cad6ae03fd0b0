#include "common/env/mujoco_tasks.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

using Progress = MujocoReward::Progress;
using Shown = MujocoPart::Shown;
using Source = MujocoPart::Source;

constexpr double kSpeedLimit = 10;  // at which observed speeds are clipped, where they are

double Square(double x) { return x * x; }

/// Distance of two bodies [m].
double Distance(const mjData& data, int a, int b) {
  return std::hypot(data.xpos[3 * a] - data.xpos[3 * b],
                    data.xpos[3 * a + 1] - data.xpos[3 * b + 1],
                    data.xpos[3 * a + 2] - data.xpos[3 * b + 2]);
}

/// FAILED_PRECONDITION where a speed stands at `limit`: an observation clips it there.
absl::Status ExpectBelow(double limit, const MujocoTask& task, std::span<const double> state) {
  const auto speeds = state.subspan(static_cast<size_t>(task.sizes.positions));
  for (size_t i = 0; i < speeds.size(); ++i) {
    if (std::abs(speeds[i]) < limit) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(task.name, ": an observation does not determine the state where a speed is ",
                     "clipped: expected speed ", i, " within +-", limit, ", got ", speeds[i]));
  }
  return absl::OkStatus();
}

/// StateFrom of a task whose observation begins with the positions from some index on and all
/// speeds. What it leaves out are places along the ground, on which nothing depends: they become 0.
absl::Status FromPositionsAndSpeeds(const MujocoTask& task, std::span<const float> observation,
                                    std::span<double> state) {
  const auto skipped = static_cast<std::ptrdiff_t>(task.observation[0].first);
  const auto shown = static_cast<std::ptrdiff_t>(state.size()) - skipped;
  std::fill_n(state.begin(), skipped, 0.0);
  std::copy_n(observation.begin(), shown, state.begin() + skipped);
  return ExpectBelow(task.observation[1].limit, task, state);
}

constexpr MujocoPart kAllPositionsAndSpeeds[] = {{Source::kPositions}, {Source::kSpeeds}};
constexpr MujocoPart kWithoutX[] = {{Source::kPositions, 1}, {Source::kSpeeds}};
constexpr MujocoPart kWithoutXY[] = {{Source::kPositions, 2}, {Source::kSpeeds}};
constexpr MujocoPart kWithoutXClipped[] = {{Source::kPositions, 1},
                                           {Source::kSpeeds, 0, -1, kSpeedLimit}};

// ---- InvertedPendulum

constexpr MujocoRange kUpright[] = {{1, -0.2, 0.2, /*closed=*/true}};

// ---- InvertedDoublePendulum: one site, the tip; y is up, as the task calls it.

constexpr double kPoleLength = 0.6;  // of either [m]
constexpr double kLowestTip = 1;

constexpr MujocoPart kDoublePendulumParts[] = {
    {Source::kPositions, 0, 1},
    {Source::kPositions, 1, 2, kUnbounded, Shown::kSine},
    {Source::kPositions, 1, 2, kUnbounded, Shown::kCosine},
    {Source::kSpeeds, 0, 3, kSpeedLimit},
    {Source::kConstraintForces, 0, 1, kSpeedLimit},
};

bool DoublePendulumFell(const mjData& data) { return data.site_xpos[2] <= kLowestTip; }

bool DoublePendulumSeenFallen(std::span<const float> seen) {
  const double sine1 = seen[1], sine2 = seen[2], cosine1 = seen[3], cosine2 = seen[4];
  return kPoleLength * (cosine1 + cosine1 * cosine2 - sine1 * sine2) <= kLowestTip;
}

double DoublePendulumCost(const mjData& data) {
  const double x = data.site_xpos[0], y = data.site_xpos[2];
  return 0.01 * Square(x) + Square(y - 2) + 0.001 * Square(data.qvel[1]) +
         0.005 * Square(data.qvel[2]);
}

absl::Status DoublePendulumStateFrom(const MujocoTask& task, std::span<const float> seen,
                                     std::span<double> state) {
  state[0] = seen[0];
  state[1] = std::atan2(seen[1], seen[3]);
  state[2] = std::atan2(seen[2], seen[4]);
  std::copy_n(seen.begin() + 5, 3, state.begin() + 3);
  return ExpectBelow(kSpeedLimit, task, state);
}

// ---- Reacher: positions are two joints, then the goal's x and y, which stands still.

constexpr int kFingertip = 3, kTarget = 4;  // bodies
constexpr double kGoalRadius = 0.2;

constexpr MujocoPart kReacherParts[] = {
    {Source::kPositions, 0, 2, kUnbounded, Shown::kCosine},
    {Source::kPositions, 0, 2, kUnbounded, Shown::kSine},
    {Source::kPositions, 2, 2},
    {Source::kSpeeds, 0, 2},
    {Source::kBodyPositions, 3 * kFingertip, 2, kUnbounded, Shown::kAsIs, 3 * kTarget},
};

void PlaceGoal(Rng& rng, std::span<double> state) {
  do {
    state[2] = rng.Uniform(-kGoalRadius, kGoalRadius);
    state[3] = rng.Uniform(-kGoalRadius, kGoalRadius);
  } while (std::hypot(state[2], state[3]) >= kGoalRadius);
  state[6] = state[7] = 0;
}

double ReacherCost(const mjData& data) { return Distance(data, kFingertip, kTarget); }

absl::Status ReacherStateFrom(const MujocoTask&, std::span<const float> seen,
                              std::span<double> state) {
  state[0] = std::atan2(seen[2], seen[0]);
  state[1] = std::atan2(seen[3], seen[1]);
  std::copy_n(seen.begin() + 4, 4, state.begin() + 2);  // the goal, the speeds of the joints
  state[6] = state[7] = 0;
  return absl::OkStatus();
}

// ---- Pusher: positions are seven joints, then the places of object and goal, each a body.

constexpr int kArmTips = 10, kObject = 11, kGoal = 12;  // bodies
constexpr double kLeastWay = 0.17;                      // of the object to the goal [m]

constexpr MujocoPart kPusherParts[] = {
    {Source::kPositions, 0, 7},
    {Source::kSpeeds, 0, 7},
    {Source::kBodyPositions, 3 * kArmTips, 9},
};

void PlaceObject(Rng& rng, std::span<double> state) {
  do {
    state[7] = rng.Uniform(-0.3, 0);
    state[8] = rng.Uniform(-0.2, 0.2);
  } while (std::hypot(state[7], state[8]) <= kLeastWay);
  state[9] = state[10] = 0;  // the goal
  std::fill(state.end() - 4, state.end(), 0.0);
}

double PusherCost(const mjData& data) {
  return 0.5 * Distance(data, kObject, kArmTips) + Distance(data, kObject, kGoal);
}

// ---- Walkers: position 1 (in space 2) is the height, position 2 in a plane the angle.

constexpr MujocoRange kHopperRanges[] = {{1, 0.7, kUnbounded}, {2, -0.2, 0.2}};
constexpr MujocoRange kWalkerRanges[] = {{1, 0.8, 2}, {2, -1, 1}};
constexpr MujocoRange kAntRanges[] = {{2, 0.2, 1, /*closed=*/true}};
constexpr MujocoRange kHumanoidRanges[] = {{2, 1, 2}};

// Body 0 is the world, which is not shown; the first six speeds are of the free root.
constexpr MujocoPart kAntParts[] = {
    {Source::kPositions, 2}, {Source::kSpeeds}, {Source::kContactForces, 6, -1, 1}};
constexpr MujocoPart kHumanoidParts[] = {{Source::kPositions, 2},      {Source::kSpeeds},
                                         {Source::kBodyInertias, 10},  {Source::kBodySpeeds, 6},
                                         {Source::kActuatorForces, 6}, {Source::kContactForces, 6}};

}  // namespace

constexpr MujocoTask kInvertedPendulum = {
    .name = "inverted_pendulum",
    .xml = "inverted_pendulum.xml",
    .sizes = {2, 2, 1, 3},
    .frame_skip = 2,
    .start = {.position_noise = 0.01, .speed_noise = 0.01},
    .observation = kAllPositionsAndSpeeds,
    .reward = {.alive = 1},
    .health = {.ranges = kUpright},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kInvertedDoublePendulum = {
    .name = "inverted_double_pendulum",
    .xml = "inverted_double_pendulum.xml",
    .sizes = {3, 3, 1, 4},
    .frame_skip = 5,
    .start = {.position_noise = 0.1, .speed_noise = 0.1, .normal_speeds = true},
    .observation = kDoublePendulumParts,
    .reward = {.alive = 10, .cost = DoublePendulumCost},
    .health = {.fallen = DoublePendulumFell, .seen_fallen = DoublePendulumSeenFallen},
    .state_from = DoublePendulumStateFrom,
};

constexpr MujocoTask kReacher = {
    .name = "reacher",
    .xml = "reacher.xml",
    .sizes = {4, 4, 2, 5},
    .frame_skip = 2,
    .max_episode_steps = 50,
    .start = {.position_noise = 0.1, .speed_noise = 0.005, .place = PlaceGoal},
    .observation = kReacherParts,
    .reward = {.control = 1, .cost = ReacherCost},
    .health = {},
    .state_from = ReacherStateFrom,
};

constexpr MujocoTask kPusher = {
    .name = "pusher",
    .xml = "pusher_v5.xml",
    .sizes = {11, 11, 7, 13},
    .frame_skip = 5,
    .max_episode_steps = 100,
    .start = {.speed_noise = 0.005, .place = PlaceObject},
    .observation = kPusherParts,
    .reward = {.control = 0.1, .cost = PusherCost},
    .health = {},
};

constexpr MujocoTask kSwimmer = {
    .name = "swimmer",
    .xml = "swimmer.xml",
    .sizes = {5, 5, 2, 4},
    .frame_skip = 4,
    .start = {.position_noise = 0.1, .speed_noise = 0.1},
    .observation = kWithoutXY,
    .reward = {.progress = Progress::kFirstPosition, .control = 1e-4},
    .health = {},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kHopper = {
    .name = "hopper",
    .xml = "hopper.xml",
    .sizes = {6, 6, 3, 5},
    .frame_skip = 4,
    .start = {.position_noise = 0.005, .speed_noise = 0.005},
    .observation = kWithoutXClipped,
    .reward = {.progress = Progress::kFirstPosition, .alive = 1, .control = 1e-3},
    .health = {.ranges = kHopperRanges, .state_limit = 100},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kHalfCheetah = {
    .name = "half_cheetah",
    .xml = "half_cheetah.xml",
    .sizes = {9, 9, 6, 8},
    .frame_skip = 5,
    .start = {.position_noise = 0.1, .speed_noise = 0.1, .normal_speeds = true},
    .observation = kWithoutX,
    .reward = {.progress = Progress::kFirstPosition, .control = 0.1},
    .health = {},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kWalker2d = {
    .name = "walker2d",
    .xml = "walker2d_v5.xml",
    .sizes = {9, 9, 6, 8},
    .frame_skip = 4,
    .start = {.position_noise = 0.005, .speed_noise = 0.005},
    .observation = kWithoutXClipped,
    .reward = {.progress = Progress::kFirstPosition, .alive = 1, .control = 1e-3},
    .health = {.ranges = kWalkerRanges},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kAnt = {
    .name = "ant",
    .xml = "ant.xml",
    .sizes = {15, 14, 8, 14},
    .frame_skip = 5,
    .start = {.position_noise = 0.1, .speed_noise = 0.1, .normal_speeds = true},
    .observation = kAntParts,
    .reward = {.progress = Progress::kTorso,
               .alive = 1,
               .control = 0.5,
               .contact = 5e-4,
               .contact_force_limit = 1},
    .health = {.ranges = kAntRanges},
    .state_from = FromPositionsAndSpeeds,
};

constexpr MujocoTask kHumanoid = {
    .name = "humanoid",
    .xml = "humanoid.xml",
    .sizes = {24, 23, 17, 14},
    .frame_skip = 5,
    .start = {.position_noise = 0.01, .speed_noise = 0.01},
    .observation = kHumanoidParts,
    .reward = {.progress = Progress::kMassCentre,
               .forward = 1.25,
               .alive = 5,
               .control = 0.1,
               .contact = 5e-7,
               .contact_cost_limit = 10},
    .health = {.ranges = kHumanoidRanges},
    .state_from = FromPositionsAndSpeeds,
};

}  // namespace tandem
