#include "services/actor/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "common/env_server/env_server.h"

namespace tandem::actor {
namespace {

using ::testing::HasSubstr;

// Nobody listens at any of the addresses.
ServiceOptions Options() {
  const std::string nobody = "unix:/tmp/tandem-actor-nobody-" + std::to_string(getpid());
  ServiceOptions options;
  options.environment.name = "pendulum";
  options.evaluation_episodes = 1;
  options.actor.replay_buffer = nobody + "-replay";
  options.actor.policy_trainer = nobody + "-policy";
  options.device = "cpu";
  return options;
}

/// Those of an actor whose environments are served there, without evaluations.
ServiceOptions ServedAt(const std::string& address, int num_envs) {
  ServiceOptions options = Options();
  options.environment.name.clear();
  options.environment.server = address;
  options.num_envs = num_envs;
  options.actor.evaluation_interval = 0;
  return options;
}

class Service : public testing::Test {
 protected:
  // Runs, stops once it serves or after `time`, and tells how long it then took to end.
  absl::Duration StopAfter(const ServiceOptions& options, absl::Duration time) {
    ActorService service(options, registry_);
    std::thread run([&] { status_ = service.Run([&](bool serving) { served_ = serving; }); });
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(time);
    while (!served_ && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto begin = std::chrono::steady_clock::now();
    service.Stop();
    run.join();
    return absl::FromChrono(std::chrono::steady_clock::now() - begin);
  }

  metrics::Registry registry_;
  std::atomic<bool> served_{false};
  absl::Status status_ = absl::UnknownError("it has not run");
};

TEST_F(Service, ServesOnceItHasItsEnvironments) {
  EXPECT_LT(StopAfter(Options(), absl::Seconds(20)), absl::Seconds(10));
  EXPECT_TRUE(served_);
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(Service, StopsWhileItWaitsForTheEnvironments) {
  ServiceOptions options = Options();
  options.environment.name.clear();
  options.environment.server = options.actor.replay_buffer;
  options.environment.reset_timeout = absl::Seconds(60);
  EXPECT_LT(StopAfter(options, absl::Milliseconds(300)), absl::Seconds(10));
  EXPECT_FALSE(served_);
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(Service, StopMayComeFirst) {
  ActorService service(Options(), registry_);
  service.Stop();
  EXPECT_TRUE(service.Run([](bool) {}).ok());
}

TEST_F(Service, TakesEnvironmentsForEvaluationsOnlyWhereThereAreAny) {
  const auto server =
      env_server::EnvServer::Start(env_server::MakerOf("pendulum"), {.capacity = 4});
  ASSERT_TRUE(server.ok()) << server.status();
  ServiceOptions options = ServedAt((*server)->address(), 4);
  options.evaluation_episodes = 10;
  StopAfter(options, absl::Seconds(20));
  EXPECT_TRUE(served_);
  EXPECT_TRUE(status_.ok()) << status_;

  options.actor.evaluation_interval = 250;
  ActorService service(options, registry_);
  const absl::Status status = service.Run([](bool) {});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_FALSE(service.misconfigured()) << "somebody else may give some back";
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("of which 0 are free"), HasSubstr("actor.num_envs=4"),
                    HasSubstr("actor.evaluation_episodes=10")));
}

TEST_F(Service, TakesAsManyEnvironmentsAgainForAWarmUpOfItsOwn) {
  const auto server =
      env_server::EnvServer::Start(env_server::MakerOf("pendulum"), {.capacity = 4});
  ASSERT_TRUE(server.ok()) << server.status();
  ServiceOptions options = ServedAt((*server)->address(), 2);
  options.warmup_episode_steps = 50;
  StopAfter(options, absl::Seconds(20));
  EXPECT_TRUE(served_);
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(Service, EnvironmentsThatCannotBeMadeEndIt) {
  ServiceOptions options = Options();
  options.environment.name = "pendulun";
  ActorService service(options, registry_);
  const absl::Status status = service.Run([this](bool) { served_ = true; });
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(service.misconfigured());
  EXPECT_FALSE(served_);

  options.first_start = false;
  ActorService again(options, registry_);
  EXPECT_TRUE(absl::IsNotFound(again.Run([](bool) {})));
  EXPECT_FALSE(again.misconfigured()) << "the run had begun with it";

  options.first_start = true;
  ActorService stopped(options, registry_);
  stopped.Stop();
  EXPECT_TRUE(stopped.Run([](bool) {}).ok());
  EXPECT_FALSE(stopped.misconfigured()) << "nothing is wrong with a stop";
}

}  // namespace
}  // namespace tandem::actor
