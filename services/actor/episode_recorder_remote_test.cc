// The recorder with environments that another process serves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/clients/environments.h"
#include "common/clients/testing/scripted_env_server.h"
#include "services/actor/core/episode_recorder.h"

namespace tandem::actor {
namespace {

// The server's law is x' = 0.9 x + action, observed as [x, t], and an episode has seven steps: so
// that each observation follows from the one before it.
void ExpectTheLaw(const Segment& segment) {
  const std::vector<float>& seen = segment.observations;
  for (size_t t = 0; t < static_cast<size_t>(segment.size()); ++t) {
    EXPECT_NEAR(seen[2 * t + 2], 0.9f * seen[2 * t] + segment.actions[t], 1e-5) << "step " << t;
    EXPECT_EQ(seen[2 * t + 3], seen[2 * t + 1] + 1) << "step " << t;
    EXPECT_FLOAT_EQ(segment.rewards[t], seen[2 * t + 2]) << "step " << t;
  }
}

TEST(RecorderOfServedEnvironments, EachObservationFollowsFromTheOneBefore) {
  constexpr int kEnvs = 2, kSteps = 17;
  char name[] = "/tmp/tandem-recorder-XXXXXX";
  const std::string folder = mkdtemp(name);
  EnvironmentSource source;
  source.server = "unix:" + folder + "/env.sock";
  clients::ScriptedEnvServer server(source.server);
  ASSERT_TRUE(server.Start());
  {
    const auto provider = EnvironmentProvider::Create(source);
    ASSERT_TRUE(provider.ok()) << provider.status();
    const auto env = (*provider)->Make(kEnvs, /*seed=*/5);
    ASSERT_TRUE(env.ok()) << env.status();
    uint64_t next_episode = 1;
    EpisodeRecorder recorder((*env)->spec(), kEnvs, {}, &next_episode);
    recorder.StartAll(**env);
    for (int t = 0; t < kSteps; ++t) {
      const std::vector<float> actions = {0.1f * static_cast<float>(t % 5), -0.2f};
      ASSERT_TRUE((*env)->Step(actions).ok());
      recorder.Record(**env, actions, std::vector<float>(kEnvs), (*env)->TakeFaults());
    }
    const Recording recording = recorder.Take();
    EXPECT_EQ(recording.segments.size(), 3u * kEnvs);
    EXPECT_EQ(recording.episodes.size(), 2u * kEnvs);
    for (const Segment& segment : recording.segments) ExpectTheLaw(segment);
  }
  server.Stop();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tandem::actor
