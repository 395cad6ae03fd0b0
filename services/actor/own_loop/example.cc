// A robot that owns its loop, here a simulated pendulum, as an actor of a run that is there
// already:
//
//   tandem train recipes/mbpo/pendulum.yaml actor.processes=1 ...     # its addresses are in
//   runs/NAME/sock own_loop_example unix:runs/NAME/sock/replay_buffer.sock
//   unix:runs/NAME/sock/policy_trainer.sock 2000
//
// Evaluations are left to the run's other actors.
#include <cstdlib>
#include <iostream>
#include <vector>

#include "common/env/environment.h"
#include "common/env/local_vector_environment.h"
#include "services/actor/own_loop/own_loop.h"

namespace {

int Fail(const absl::Status& status) {
  std::cerr << "own_loop_example: " << status.ToString() << "\n";
  return 1;
}

/// Plays `steps` steps, or until the run is over.
absl::Status Play(tandem::Environment& robot, tandem::actor::OwnLoop& loop, int steps) {
  std::vector<float> observation(static_cast<size_t>(robot.spec().observation.dim()));
  double episode_return = 0;
  bool ended = true;
  for (int i = 0; i < steps; ++i) {
    if (ended) {
      if (absl::Status status = robot.Reset(std::nullopt, observation); !status.ok()) return status;
      if (absl::Status status = loop.Begin(observation); !status.ok()) return status;
      episode_return = 0;
    }
    const auto action = loop.Act();
    if (!action.ok()) return action.status();
    const auto step = robot.Step(*action, observation);
    if (!step.ok()) return step.status();
    const absl::Status recorded =
        loop.Record(step->reward, observation, step->terminated, step->truncated);
    if (!recorded.ok()) return recorded;
    episode_return += static_cast<double>(step->reward);
    ended = step->terminated || step->truncated;
    if (ended) std::cout << "return " << episode_return << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: own_loop_example REPLAY_BUFFER POLICY_TRAINER STEPS\n";
    return 2;
  }
  auto robot = tandem::MakeEnvironment("pendulum");
  if (!robot.ok()) return Fail(robot.status());
  tandem::actor::OwnLoop::Options options;
  options.replay_buffer = argv[1];
  options.policy_trainer = argv[2];
  options.spec = (*robot)->spec();
  auto evaluation = tandem::LocalVectorEnvironment::Create("pendulum", {.num_envs = 4});
  if (!evaluation.ok()) return Fail(evaluation.status());
  options.evaluation = *std::move(evaluation);
  auto loop = tandem::actor::OwnLoop::Start(std::move(options));
  if (!loop.ok()) return Fail(loop.status());
  const absl::Status played = Play(**robot, **loop, std::atoi(argv[3]));
  const absl::Status finished = (*loop)->Finish();
  if (!finished.ok()) return Fail(finished);
  return played.ok() || absl::IsCancelled(played) ? 0 : Fail(played);
}
