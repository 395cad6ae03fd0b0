#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "common/base/stop_signal.h"
#include "common/base/trouble.h"
#include "common/clients/testing/fake_replay_client.h"
#include "common/training/checkpointer.h"
#include "common/training/peer_wait.h"
#include "common/training/start_epoch.h"

namespace tandem::training {
namespace {

using testing::HasSubstr;

EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1, -1}, .high = {1, 1}},
          .action = {.low = {-1}, .high = {1}}};
}

class TempDir {
 public:
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "tandem_training_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

nn::TensorFile SomeState() {
  nn::TensorFile file;
  file.tensors["w"] = {.shape = {2}, .data = {1, 2}};
  file.metadata["updates"] = "7";
  return file;
}

TEST(StartEpoch, GrowsWithEachStartAlsoWhereTheFolderWasLost) {
  const TempDir dir;
  const std::string folder = dir / "policy_trainer";
  const uint64_t first = *StartEpoch(folder);
  EXPECT_GE(first, 1u);
  EXPECT_EQ(*StartEpoch(folder), first + 1);
  std::filesystem::remove_all(folder);
  absl::SleepFor(absl::Milliseconds(1));
  const uint64_t after_loss = *StartEpoch(folder);
  EXPECT_GT(after_loss, first + 1);
  EXPECT_EQ(*StartEpoch(folder), after_loss + 1);
}

TEST(StartEpoch, AFileThatHoldsNoNumberIsAnError) {
  const TempDir dir;
  std::ofstream(dir / "epoch") << "many\n";
  EXPECT_TRUE(absl::IsDataLoss(StartEpoch(dir / "").status()));
}

TEST(PeerWait, SaysAtOnceAndThenEachFiveSecondsWhatItWaitsFor) {
  FakeClock clock;
  StopSignal stop;
  testing::internal::CaptureStderr();
  PeerWait wait("the replay buffer", stop, clock);
  EXPECT_TRUE(wait.Pause(absl::UnavailableError("no socket at unix:/x")));
  clock.Advance(absl::Seconds(2));
  EXPECT_TRUE(wait.Pause(absl::UnavailableError("not logged")));
  clock.Advance(absl::Seconds(4));
  stop.Stop();
  EXPECT_FALSE(wait.Pause(absl::UnavailableError("stopped")));
  EXPECT_EQ(wait.waited(), absl::Seconds(6));
  wait.Succeeded();
  EXPECT_EQ(wait.waited(), absl::ZeroDuration());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("waiting for the replay buffer, 0 s"));
  EXPECT_THAT(log, HasSubstr("unix:/x"));
  EXPECT_THAT(log, testing::Not(HasSubstr("not logged")));
}

TEST(WaitForSpec, OutlastsAnAbsentPeerAndAnEmptyBuffer) {
  FakeReplayClient replay;
  StopSignal stop;
  replay.FailNext(absl::UnavailableError("connection refused"));
  std::thread actor([&replay] {
    while (replay.calls("GetStatus") < 2) absl::SleepFor(absl::Milliseconds(5));
    replay.SetSpec(Spec());
  });
  const auto spec = WaitForSpec(replay, stop, *Clock::Real());
  actor.join();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, Spec());
}

TEST(WaitForSpec, IsCancelledByStop) {
  FakeReplayClient replay;
  StopSignal stop;
  std::thread other([&] {
    while (replay.calls("GetStatus") < 1) absl::SleepFor(absl::Milliseconds(5));
    stop.Stop();
  });
  EXPECT_TRUE(absl::IsCancelled(WaitForSpec(replay, stop, *Clock::Real()).status()));
  other.join();
}

class CheckpointerTest : public testing::Test {
 protected:
  Checkpointer Make(const std::string& dir) {
    return Checkpointer(
        {.state_dir = dir, .interval = absl::Seconds(20), .metric_prefix = "tandem_test"}, clock_,
        metrics_);
  }
  TempDir temp_;
  FakeClock clock_;
  metrics::Registry metrics_;
};

TEST_F(CheckpointerTest, GivesBackWhatWasSaved) {
  Checkpointer checkpointer = Make(temp_ / "new/folder");
  EXPECT_FALSE(checkpointer.Load().has_value());
  ASSERT_TRUE(checkpointer.Save(SomeState()).ok());
  const auto state = checkpointer.Load();
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->tensors.at("w").data, (std::vector<float>{1, 2}));
  EXPECT_EQ(state->metadata.at("updates"), "7");
  EXPECT_THAT(metrics_.Page(), HasSubstr("tandem_test_checkpoints_total 1"));
}

TEST_F(CheckpointerTest, IsDueOnceAnIntervalHasPassed) {
  Checkpointer checkpointer = Make(temp_ / "d");
  EXPECT_FALSE(checkpointer.Due());
  clock_.Advance(absl::Seconds(20));
  EXPECT_TRUE(checkpointer.Due());
  ASSERT_TRUE(checkpointer.Save(SomeState()).ok());
  EXPECT_FALSE(checkpointer.Due());
}

TEST_F(CheckpointerTest, RefusesACorruptFileInOneLineAndKeepsIt) {
  Checkpointer checkpointer = Make(temp_ / "d");
  ASSERT_TRUE(checkpointer.Save(SomeState()).ok());
  std::filesystem::resize_file(checkpointer.path(), 20);
  testing::internal::CaptureStderr();
  EXPECT_FALSE(checkpointer.Load().has_value());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("refused " + checkpointer.path()));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_THAT(metrics_.Page(), HasSubstr("tandem_test_checkpoints_refused_total 1"));
  EXPECT_TRUE(std::filesystem::exists(checkpointer.path()));
}

TEST_F(CheckpointerTest, CountsAWriteThatFailsAndGoesOn) {
  std::ofstream(temp_ / "file") << "in the way";
  Checkpointer checkpointer = Make(temp_ / "file/dir");
  EXPECT_FALSE(checkpointer.Save(SomeState()).ok());
  EXPECT_THAT(metrics_.Page(), HasSubstr("tandem_test_checkpoint_failures_total 1"));
  ClearTrouble("checkpoint");
}

TEST_F(CheckpointerTest, AWriteThatFailsIsTroubleUntilOneWorks) {
  std::ofstream(temp_ / "place") << "no folder";
  Checkpointer checkpointer = Make(temp_ / "place");
  EXPECT_FALSE(checkpointer.Save(SomeState()).ok());
  EXPECT_THAT(Troubles(), testing::ElementsAre(HasSubstr("no checkpoint is written: ")));
  std::filesystem::remove(temp_ / "place");
  EXPECT_TRUE(checkpointer.Save(SomeState()).ok());
  EXPECT_THAT(Troubles(), testing::IsEmpty());
}

TEST_F(CheckpointerTest, WithoutAFolderNothingIsWrittenOrDue) {
  Checkpointer checkpointer = Make("");
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(checkpointer.Due());
  EXPECT_TRUE(checkpointer.Save(SomeState()).ok());
  EXPECT_FALSE(checkpointer.Load().has_value());
}

}  // namespace
}  // namespace tandem::training
