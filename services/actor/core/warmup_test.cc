// Episodes of the warm-up that have a length of their own.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "services/actor/core/testing/actor_run.h"

namespace tandem::actor {
namespace {

TEST(Warmup, RandomStepsComeFromTheEnvironmentsOfTheWarmUpUntilItIsOver) {
  Actor actor(Counting({3, 3}), Counting({2}), Actor::Options(), Counting({8, 20}));
  actor.policies.Publish(0);
  actor.replay.AddGrant(RandomSteps(10));
  actor.replay.AddGrant(RandomSteps(10));
  actor.replay.AddGrant(Steps(12, 0));
  actor.replay.AddGrant(RandomSteps(2));  // there is no way back
  actor.Run();
  const std::vector<Episode> episodes = actor.Episodes();
  ASSERT_EQ(episodes.size(), 7u);
  const uint64_t first_policy = snapshot::Version{.epoch = 1, .version = 1}.Tag();
  const int64_t lengths[] = {8, 10, 2, 3, 3, 3, 3};
  for (size_t i = 0; i < episodes.size(); ++i) {
    const bool cut = i == 1 || i == 2;
    EXPECT_EQ(episodes[i].length, lengths[i]);
    EXPECT_EQ(episodes[i].failure, cut ? "warmup_over" : "");
    EXPECT_EQ(episodes[i].terminated, !cut);
    EXPECT_EQ(episodes[i].policy_version, i < 3 ? 0u : first_policy);
  }
  EXPECT_EQ(actor.StoredSteps(), 34);
  std::set<uint64_t> begun;
  for (const Segment& segment : actor.Segments()) {
    EXPECT_EQ(segment.observations[1], static_cast<float>(segment.first_t));
    if (segment.first_t > 0) continue;
    EXPECT_TRUE(begun.insert(segment.episode_id).second);
  }
  EXPECT_EQ(begun.size(), 9u);  // two of them are open
}

/// Tells when it is destroyed.
class Mortal : public CountingEnvironment {
 public:
  Mortal(int length, std::atomic<bool>& gone) : CountingEnvironment(length), gone_(gone) {}
  ~Mortal() override { gone_ = true; }

 private:
  std::atomic<bool>& gone_;
};

TEST(Warmup, ItsEnvironmentsAreGivenBackWhenItIsOver) {
  std::atomic<bool> gone = false;
  std::vector<std::unique_ptr<Environment>> walks;
  walks.push_back(std::make_unique<Mortal>(8, gone));
  Actor actor(Counting({3}), Counting({2}), Actor::Options(),
              *LocalVectorEnvironment::Create(std::move(walks), /*threads=*/1, /*seed=*/0));
  actor.policies.Publish(0);
  actor.replay.AddGrant(RandomSteps(10));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (actor.StoredSteps() < 10) std::this_thread::yield();
  EXPECT_FALSE(gone);
  actor.replay.AddGrant(Steps(3, 0));
  while (actor.StoredSteps() < 13) std::this_thread::yield();
  EXPECT_TRUE(gone);
  actor.core.Stop();  // knows that they are no more
  run.join();
}

TEST(Warmup, WithoutRandomStepsTheWarmUpsEpisodesNeverWere) {
  Actor actor(Counting({3}), Counting({2}), Actor::Options(), Counting({8}));
  actor.policies.Publish(0);
  actor.replay.AddGrant(Steps(6, 0));  // as where a run is taken up again
  actor.Run();
  ASSERT_EQ(actor.Episodes().size(), 2u);
  for (const Episode& episode : actor.Episodes()) {
    EXPECT_EQ(episode.length, 3);
    EXPECT_TRUE(episode.terminated);
  }
}

TEST(Warmup, AStaleEpochAtTheEndOfTheWarmUpBeginsWithTheOtherEpisodes) {
  Actor actor(Counting({3}), Counting({2}), Actor::Options(), Counting({8}));
  actor.policies.Publish(0);
  actor.replay.AddGrant(RandomSteps(5));
  std::thread run([&] { EXPECT_TRUE(actor.core.Run().ok()); });
  while (actor.StoredSteps() < 5) std::this_thread::yield();
  ASSERT_TRUE(actor.replay.OpenWriter("actor", CountingEnvironment(1).spec()).ok());
  actor.replay.AddGrant(Steps(3, 0));  // given up, for the buffer knows no open episode
  actor.replay.AddGrant(Steps(3, 0));
  while (actor.StoredSteps() < 8) std::this_thread::yield();
  actor.core.Stop();
  run.join();
  ASSERT_EQ(actor.Episodes().size(), 1u);
  EXPECT_EQ(actor.Episodes()[0].length, 3);
}

}  // namespace
}  // namespace tandem::actor
