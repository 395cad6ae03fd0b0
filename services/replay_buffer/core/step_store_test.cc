#include "services/replay_buffer/core/step_store.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "common/base/rng.h"
#include "services/replay_buffer/core/episode_log.h"
#include "services/replay_buffer/core/slicing.h"
#include "services/replay_buffer/core/testing/make_steps.h"
#include "services/replay_buffer/core/training_index.h"
#include "services/replay_buffer/core/writers.h"

namespace tandem {
namespace {

using testing_support::MakeSegment;
using testing_support::Observed;

TEST(StepStoreTest, LinksStepsOfInterleavedEpisodes) {
  StepStore store(100, 2, 1);
  const int64_t a = store.Append(MakeSegment(1, 0, 2), 0, Split::kTrain, -1);
  const int64_t b = store.Append(MakeSegment(2, 0, 1), 1, Split::kHoldout, -1);
  EXPECT_EQ(store.next(a), -1);
  EXPECT_EQ(store.next_observation(a)[0], Observed(1, 2)) << "the kept tail";
  const int64_t c = store.Append(MakeSegment(1, 2, 1, /*terminated=*/true), 0, Split::kTrain, a);
  EXPECT_EQ(store.next(a), c);
  EXPECT_EQ(store.next_observation(a)[0], Observed(1, 2)) << "the next step's observation";
  EXPECT_EQ(store.next_observation(b)[1], -Observed(2, 1));
  EXPECT_TRUE(store.terminated(c));
  EXPECT_FALSE(store.truncated(c));
  store.MarkTruncated(c);
  EXPECT_FALSE(store.truncated(c)) << "a terminal step stays one";
  store.MarkTruncated(b);
  EXPECT_TRUE(store.truncated(b));
  EXPECT_EQ(store.held(Split::kTrain), 3);
  EXPECT_EQ(store.held(Split::kHoldout), 1);
  EXPECT_EQ(store.IndexAt(Split::kTrain, 2), 3);
  EXPECT_EQ(store.CountBelow(Split::kTrain, 3), 2);
  EXPECT_EQ(store.CountBelow(Split::kAll, 99), 4);
}

/// Many interleaved episodes through a small ring against a plain list of everything.
TEST(StepStoreTest, AgreesWithAPlainListUnderEviction) {
  struct Row {
    uint64_t episode;
    int64_t t;
    Split split;
    bool terminated;
  };
  Rng rng(5);
  for (const int64_t capacity : {1, 3, 17, 64}) {
    StepStore store(capacity, 2, 1);
    std::vector<Row> all;
    std::map<uint64_t, std::pair<int64_t, int64_t>> open;  // next t, last index
    uint64_t next_episode = 0;
    for (int i = 0; i < 400; ++i) {
      const uint64_t episode =
          open.empty() || rng.Below(4) == 0
              ? next_episode++
              : std::next(open.begin(), static_cast<int64_t>(rng.Below(open.size())))->first;
      auto [it, fresh] = open.try_emplace(episode, 0, -1);
      const auto n = static_cast<int64_t>(1 + rng.Below(5));
      const bool ends = rng.Below(3) == 0;
      const Split split = episode % 3 == 0 ? Split::kHoldout : Split::kTrain;
      auto& [t, last] = it->second;
      last = store.Append(MakeSegment(episode, t, n, ends), static_cast<int64_t>(episode), split,
                          last);
      for (int64_t k = 0; k < n; ++k) all.push_back({episode, t + k, split, ends && k + 1 == n});
      t += n;
      if (ends) open.erase(it);

      ASSERT_EQ(store.end_index(), static_cast<int64_t>(all.size()));
      ASSERT_EQ(store.begin_index(), std::max<int64_t>(0, store.end_index() - capacity));
    }
    TransitionBatch batch;
    batch.obs_dim = 2;
    batch.action_dim = 1;
    int64_t holdout = 0;
    for (int64_t index = store.begin_index(); index < store.end_index(); ++index) {
      const Row& row = all[static_cast<size_t>(index)];
      store.CopyTo(index, &batch);
      const size_t last = batch.rewards.size() - 1;
      ASSERT_EQ(batch.observations[2 * last], Observed(row.episode, row.t));
      ASSERT_EQ(batch.next_observations[2 * last], Observed(row.episode, row.t + 1));
      ASSERT_EQ(batch.next_observations[2 * last + 1], -Observed(row.episode, row.t + 1));
      ASSERT_EQ(batch.rewards[last], static_cast<float>(row.t));
      ASSERT_EQ(batch.terminated[last], row.terminated ? 1 : 0);
      ASSERT_EQ(batch.times[last], row.t);
      ASSERT_EQ(batch.episodes[last], static_cast<int64_t>(row.episode));
      ASSERT_EQ(batch.splits[last], static_cast<uint8_t>(row.split));
      if (row.split == Split::kHoldout) {
        ASSERT_EQ(store.IndexAt(Split::kHoldout, holdout++), index);
      }
    }
    EXPECT_EQ(store.held(Split::kHoldout), holdout);
    EXPECT_GT(store.bytes(), 0);
  }
}

TEST(SlicingTest, IsAPureFunctionOfSeedBatchAndBounds) {
  StepStore store(1000, 2, 1);
  int64_t last = -1;
  for (int i = 0; i < 20; ++i)
    last = store.Append(MakeSegment(1, i * 5, 5), 0, Split::kTrain, last);
  const SampleSpec spec{.batch_size = 64, .seed = 9};
  const auto first = Slice(store, spec, 3, 60);
  store.Append(MakeSegment(1, 100, 5), 0, Split::kTrain, last);
  EXPECT_EQ(Slice(store, spec, 3, 60)->transitions.indices, first->transitions.indices);
  EXPECT_NE(Slice(store, spec, 4, 60)->transitions.indices, first->transitions.indices);
  SampleSpec other = spec;
  other.seed = 10;
  EXPECT_NE(Slice(store, other, 3, 60)->transitions.indices, first->transitions.indices);
  for (const int64_t index : first->transitions.indices) EXPECT_LT(index, 60);
  EXPECT_EQ(first->through_index, 60);
  EXPECT_EQ(Slice(store, spec, 0, 0)->through_index, 105);
  SampleSpec holdout = spec;
  holdout.split = Split::kHoldout;
  EXPECT_FALSE(Slice(store, holdout, 0, 0).has_value());
}

TEST(SlicingTest, DrawsEveryStepAboutEquallyOften) {
  StepStore store(50, 2, 1);
  int64_t last = -1;
  for (int i = 0; i < 20; ++i)
    last = store.Append(MakeSegment(1, i * 5, 5), 0, Split::kTrain, last);
  std::map<int64_t, int> counts;
  const auto batch = Slice(store, {.batch_size = 50'000, .seed = 1}, 0, 0);
  for (const int64_t index : batch->transitions.indices) ++counts[index];
  ASSERT_EQ(counts.size(), 50u);
  for (const auto& [index, count] : counts) {
    EXPECT_GE(index, 50);
    EXPECT_NEAR(count, 1000, 160) << "5 standard deviations";
  }
}

TEST(SlicingTest, StartStatesAreNeverTheSuccessorOfATerminalStep) {
  StepStore store(100, 2, 1);
  store.Append(MakeSegment(3, 0, 4, /*terminated=*/true), 0, Split::kTrain, -1);
  const auto batch = Slice(store, {.kind = SampleKind::kStartStates, .batch_size = 1000}, 0, 0);
  std::set<float> seen;
  for (int64_t i = 0; i < 1000; ++i) seen.insert(batch->transitions.observations[2 * i]);
  EXPECT_EQ(seen,
            (std::set<float>{Observed(3, 0), Observed(3, 1), Observed(3, 2), Observed(3, 3)}));
  EXPECT_TRUE(batch->transitions.actions.empty());
}

TEST(SlicingTest, WindowsEndMaskedWhereTheEpisodeEnds) {
  StepStore store(100, 2, 1);
  store.Append(MakeSegment(1, 0, 3), 0, Split::kTrain, -1);
  store.Append(MakeSegment(9, 0, 2), 1, Split::kHoldout, -1);
  store.Append(MakeSegment(1, 3, 2, /*terminated=*/true), 0, Split::kTrain, 2);
  const SampleSpec spec{.kind = SampleKind::kSequences, .batch_size = 200, .sequence_length = 4};
  const SequenceBatch b = Slice(store, spec, 0, 0)->sequences;
  std::set<int64_t> starts;
  for (int64_t row = 0; row < 200; ++row) {
    const int64_t index = b.indices[row];
    const int64_t t0 = index < 3 ? index : index - 2;  // two steps of the other episode between
    starts.insert(t0);
    for (int64_t k = 0; k < 4; ++k) {
      const bool exists = t0 + k < 5;
      ASSERT_EQ(b.mask[row * 4 + k], exists ? 1 : 0);
      ASSERT_EQ(b.rewards[row * 4 + k], exists ? static_cast<float>(t0 + k) : 0);
      ASSERT_EQ(b.terminated[row * 4 + k], t0 + k == 4 ? 1 : 0);
    }
    for (int64_t k = 0; k <= 4; ++k) {
      ASSERT_EQ(b.observations[(row * 5 + k) * 2], t0 + k <= 5 ? Observed(1, t0 + k) : 0);
    }
  }
  EXPECT_EQ(starts.size(), 5u) << "windows start anywhere in an episode";
  const SequenceBatch bounded = Slice(store, spec, 0, 5)->sequences;
  for (int64_t row = 0; row < 200; ++row) {
    ASSERT_EQ(bounded.mask[row * 4 + 3], 0) << "no step at or above through_index 5";
  }
}

TEST(SlicingTest, RefusesWhatIsOutOfRange) {
  EXPECT_TRUE(Validate(SampleSpec{.batch_size = 1'000'000}).ok());
  EXPECT_FALSE(Validate(SampleSpec{.batch_size = 0}).ok());
  EXPECT_FALSE(Validate(SampleSpec{.batch_size = 1'000'001}).ok());
  EXPECT_FALSE(Validate(SampleSpec{.batch_size = 1, .sequence_length = 2}).ok());
  EXPECT_FALSE(Validate(SampleSpec{.kind = SampleKind::kSequences, .batch_size = 1}).ok());
  EXPECT_FALSE(Validate(SampleSpec{.kind = static_cast<SampleKind>(9), .batch_size = 1}).ok());
  const SampleSpec huge{
      .kind = SampleKind::kSequences, .batch_size = 1'000'000, .sequence_length = 4096};
  EXPECT_TRUE(Validate(huge).ok());
  EXPECT_FALSE(ValidateSize(huge, 17, 6).ok());
}

TEST(TrainingIndexTest, TranslatesBothWays) {
  TrainingIndex index;
  index.Append(10, true);
  index.Append(5, false);
  index.Append(3, true);
  index.Append(2, false);
  EXPECT_EQ(index.end_index(), 20);
  EXPECT_EQ(index.training_steps(), 13);
  EXPECT_EQ(index.StepsBelow(0), 0);
  EXPECT_EQ(index.StepsBelow(7), 7);
  EXPECT_EQ(index.StepsBelow(12), 10);
  EXPECT_EQ(index.StepsBelow(16), 11);
  EXPECT_EQ(index.StepsBelow(99), 13);
  EXPECT_EQ(index.IndexFor(0), 0);
  EXPECT_EQ(index.IndexFor(10), 10);
  EXPECT_EQ(index.IndexFor(11), 16);
  EXPECT_EQ(index.IndexFor(13), 18);
  EXPECT_EQ(index.IndexFor(14), 20);
  for (int64_t steps = 0; steps <= 13; ++steps) {
    EXPECT_EQ(index.StepsBelow(index.IndexFor(steps)), steps);
  }
}

TEST(EpisodeLogTest, KeepsTheNewest) {
  EpisodeLog log(3);
  for (uint64_t i = 0; i < 5; ++i) log.Add(testing_support::MakeEpisode(i, 2));
  EXPECT_EQ(log.begin(), 2);
  EXPECT_EQ(log.end(), 5);
  const auto read = log.Read(0, 2);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].episode_id, 2u);
  EXPECT_TRUE(log.Read(5, 2).empty());
  EXPECT_TRUE(log.Read(9, 2).empty());
}

TEST(HoldoutTest, SpreadsTheShareEvenly) {
  std::vector<int64_t> held_out;
  for (int64_t o = 0; o < 12; ++o) {
    if (IsHoldout(o, 0.2)) held_out.push_back(o);
  }
  EXPECT_EQ(held_out, (std::vector<int64_t>{1, 6, 11}));
  for (const double f : {0.0, 0.07, 0.1, 0.29, 0.5}) {
    int count = 0;
    for (int64_t o = 0; o < 1000; ++o) count += IsHoldout(o, f) ? 1 : 0;
    EXPECT_NEAR(count, 1000 * f, 1.01) << f;
  }
}

}  // namespace
}  // namespace tandem
