#include "services/policy_trainer/core/model_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "common/snapshot/snapshot_store.h"
#include "services/policy_trainer/core/testing/fake_model.h"

namespace tandem::policy_trainer {
namespace {

using testing::HasSubstr;

class ModelFollowerTest : public testing::Test {
 protected:
  void Publish(const nn::TensorFile& file) { ASSERT_TRUE(store_.Publish(file).ok()); }

  snapshot::SnapshotStore store_{snapshot::kModelSeries, 1};
  StopSignal stop_;
  metrics::Registry metrics_;
  ModelFollower follower_{store_, LoadFakeModel, stop_, *Clock::Real(), metrics_};
};

TEST_F(ModelFollowerTest, TakesTheModelThatIsAlreadyThere) {
  Publish(FakeModelFile(1, 250));
  const auto model = follower_.WaitFor(250, /*exact=*/true, absl::Seconds(10));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->through_index, 250);
  EXPECT_EQ(model->version.version, 1u);
}

TEST_F(ModelFollowerTest, WaitsForExactlyTheModelOfTheGrant) {
  Publish(FakeModelFile(1, 250));
  std::thread trainer([this] {
    absl::SleepFor(absl::Milliseconds(20));
    Publish(FakeModelFile(2, 500));
  });
  const auto model = follower_.WaitFor(500, /*exact=*/true, absl::Seconds(10));
  trainer.join();
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->through_index, 500);
}

TEST_F(ModelFollowerTest, ANewerModelDoesOnlyWhereItNeedNotBeExact) {
  Publish(FakeModelFile(1, 700));
  EXPECT_TRUE(follower_.WaitFor(500, /*exact=*/false, absl::Seconds(10)).ok());
  const auto model = follower_.WaitFor(500, /*exact=*/true, absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(model.status()));
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("500"));
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("700"));
}

TEST_F(ModelFollowerTest, ABrokenModelIsOneErrorAndWaitedPast) {
  nn::TensorFile other = FakeModelFile(1, 250);
  other.tensors.clear();
  Publish(other);
  testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(
        absl::IsDeadlineExceeded(follower_.WaitFor(250, true, absl::Milliseconds(10)).status()));
  }
  Publish(FakeModelFile(1, 250));
  EXPECT_TRUE(follower_.WaitFor(250, true, absl::Seconds(10)).ok());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_THAT(log, HasSubstr("rejected model 1 of epoch 1"));
  EXPECT_THAT(metrics_.Page(), HasSubstr("tandem_policy_trainer_models_rejected_total 1"));
}

TEST_F(ModelFollowerTest, StopEndsTheWait) {
  std::thread other([this] {
    absl::SleepFor(absl::Milliseconds(20));
    stop_.Stop();
    store_.Stop();
  });
  const auto model = follower_.WaitFor(250, true, absl::Seconds(30));
  other.join();
  EXPECT_TRUE(absl::IsCancelled(model.status())) << model.status();
}

}  // namespace
}  // namespace tandem::policy_trainer
