#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::cli {
namespace {

RunFigures Figures(int64_t env_steps, int64_t updates) {
  RunFigures figures;
  figures.replay.emplace();
  figures.replay->spec.emplace();
  figures.replay->env_steps = env_steps;
  figures.replay->policy_updates = updates;
  figures.replay->evaluations.push_back({250, 950.1, 10, 0});
  figures.monitor.emplace();
  figures.monitor->set_verdict(monitor::v1::VERDICT_WARMING_UP);
  figures.monitor->set_index(0.034);
  figures.monitor->set_training_return(612.44);
  figures.monitor->set_model_error_fresh(0.1234);
  figures.monitor->set_model_error_heldout(std::nan(""));
  figures.monitor->set_model_age_env_steps(249);
  figures.monitor->set_policy_lag_updates(3);
  return figures;
}

TEST(Progress, RatesComeFromTheLastSecondsAndTheEndFromAllOfTheTraining) {
  Progress progress(5000);
  progress.Record(Figures(0, 1), absl::Seconds(10), 0);
  progress.Record(Figures(1000, 1), absl::Seconds(100), 0);
  const auto record = progress.Record(Figures(1200, 2001), absl::Seconds(110), 2);
  EXPECT_DOUBLE_EQ(record["steps_per_second"], 20);
  EXPECT_DOUBLE_EQ(record["updates_per_second"], 200);
  EXPECT_DOUBLE_EQ(record["eta_seconds"], 3800 / 12.0);
  EXPECT_EQ(record["restarts"], 2);
  EXPECT_EQ(ProgressLine(record),
            "step 1200/5000 at 20.0/s  return 612 (eval 950)  model error 0.12  "
            "index +0.03 warming up  ETA 5m17s");
}

TEST(Progress, TheWarmUpIsNoMeasureOfTheTraining) {
  Progress progress(125000);
  progress.Record(Figures(0, 0), absl::Seconds(1), 0);
  auto record = progress.Record(Figures(4900, 0), absl::Seconds(2), 0);
  EXPECT_DOUBLE_EQ(record["steps_per_second"], 4900);
  EXPECT_TRUE(record["eta_seconds"].is_null()) << "the random steps say nothing of it";
  record = progress.Record(Figures(5000, 20), absl::Seconds(12), 0);
  EXPECT_TRUE(record["steps_per_second"].is_null()) << "the policy is trained since now";
  record = progress.Record(Figures(5002, 60), absl::Seconds(14), 0);
  EXPECT_DOUBLE_EQ(record["steps_per_second"], 1);
  EXPECT_TRUE(record["eta_seconds"].is_null()) << "two seconds are too few";
  record = progress.Record(Figures(5010, 220), absl::Seconds(22), 0);
  EXPECT_DOUBLE_EQ(record["eta_seconds"], 119990);
}

TEST(Progress, TheFitOfTheFirstModelIsNamed) {
  Progress progress(125000);
  RunFigures figures = Figures(5000, 0);
  figures.replay->waiting_for = {{"actor", "the first model"}, {"policy_trainer", "a model"}};
  progress.Record(Figures(0, 0), absl::Seconds(1), 0);
  EXPECT_THAT(ProgressLine(progress.Record(figures, absl::Seconds(2), 0)),
              testing::StartsWith("step 5000/125000  fitting the first model  return 612"));
  figures.replay->waiting_for["model_trainer"] = "300 more environment steps";
  EXPECT_THAT(ProgressLine(progress.Record(figures, absl::Seconds(3), 0)),
              testing::StartsWith("step 5000/125000 at 2500.0/s  return 612"));
  figures.replay->waiting_for.erase("model_trainer");
  figures.replay->model_through_index = 5000;
  EXPECT_THAT(ProgressLine(progress.Record(figures, absl::Seconds(4), 0)),
              testing::StartsWith("step 5000/125000  return 612"));
}

TEST(Progress, WhereNothingMovesTheLineSaysWhy) {
  Progress progress(3000);
  RunFigures figures = Figures(1238, 50);
  figures.troubles["actor-0"] = "environment 0 failed 5 times, last: RuntimeError: emergency stop";
  progress.Record(Figures(1230, 50), absl::Seconds(1), 0);
  progress.Record(figures, absl::Seconds(2), 0);
  EXPECT_THAT(ProgressLine(progress.Record(figures, absl::Seconds(3), 0)),
              testing::StartsWith("step 1238/3000 at 4.0/s"))
      << "it may go on by itself";
  const auto record = progress.Record(figures, absl::Seconds(4), 0);
  EXPECT_EQ(record["troubles"]["actor-0"],
            "environment 0 failed 5 times, last: RuntimeError: emergency stop");
  EXPECT_EQ(ProgressLine(record),
            "step 1238/3000 stands still  actor-0: environment 0 failed 5 times, last: "
            "RuntimeError: emergency stop");
  figures.troubles["actor-0"] = std::string(500, 'x');
  const std::string line = ProgressLine(progress.Record(figures, absl::Seconds(5), 0));
  EXPECT_EQ(line.size(), 120u);
  EXPECT_THAT(line, testing::EndsWith("xx ..."));
  figures.troubles = {{"policy_trainer", "no checkpoint is written: the disk is full"}};
  EXPECT_THAT(ProgressLine(progress.Record(figures, absl::Seconds(6), 0)),
              testing::StartsWith("step 1238/3000 at"));
}

TEST(Progress, TheVerdictStandsWithWhatItRestsOn) {
  const auto line = [](monitor::v1::Verdict verdict, const std::string& signal) {
    RunFigures figures = Figures(10, 0);
    figures.monitor->set_verdict(verdict);
    figures.monitor->set_signal(signal);
    return ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0));
  };
  using testing::EndsWith;
  EXPECT_THAT(line(monitor::v1::VERDICT_WARNING, "bias"), EndsWith("  index +0.03 warning"));
  EXPECT_THAT(line(monitor::v1::VERDICT_WARNING, "gap_100"),
              EndsWith("  verdict warning (gap_100)"));
  EXPECT_THAT(line(monitor::v1::VERDICT_WARNING, ""), EndsWith("  verdict warning"));
  EXPECT_THAT(line(monitor::v1::VERDICT_HEALTHY, ""), EndsWith("  index +0.03 healthy"));
}

TEST(Progress, WithoutAnswersEveryFigureIsUnknown) {
  Progress progress(5000);
  const auto record = progress.Record(RunFigures(), absl::Seconds(1), 0);
  EXPECT_TRUE(record["index"].is_null());
  EXPECT_TRUE(record["steps_per_second"].is_null());
  EXPECT_EQ(record["verdict"], "unknown");
  EXPECT_EQ(ProgressLine(record), "step 0/5000  verdict unknown");
}

TEST(Progress, BeforeTheFirstStepTheLineSaysWhatIsWaitedFor) {
  RunFigures figures;
  EXPECT_EQ(StartingLine(figures, absl::Seconds(3)), "waiting for the replay buffer to answer, 3s");
  EXPECT_EQ(SilentMember(figures), "replay_buffer");
  figures.replay.emplace();
  EXPECT_EQ(StartingLine(figures, absl::Seconds(3)),
            "waiting for an actor to announce its environment, 3s");
  EXPECT_EQ(SilentMember(figures), "actor-0");
  figures.replay->spec.emplace();
  figures.replay->waiting_for["model_trainer"] = "250 more environment steps";
  EXPECT_EQ(StartingLine(figures, absl::Seconds(3)),
            "waiting for the first environment step, 3s; model_trainer waits for 250 more "
            "environment steps");
  figures.troubles["actor-0"] = "environment 0 failed: wrong shape";
  EXPECT_EQ(StartingLine(figures, absl::Seconds(3)),
            "waiting for the first environment step, 3s; actor-0: environment 0 failed: wrong "
            "shape (logs/actor-0.log)");
}

TEST(Progress, AnEvaluationWithoutATrainingReturnIsNamed) {
  RunFigures figures = Figures(10, 0);
  figures.monitor->set_training_return(std::nan(""));
  figures.monitor->set_index(std::nan(""));
  EXPECT_EQ(ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0)),
            "step 10/50  eval return 950  model error 0.12  verdict warming up");
}

TEST(Progress, ModelErrorsAreLabelled) {
  RunFigures figures = Figures(10, 0);
  figures.monitor->set_model_error_heldout(0.35);
  EXPECT_THAT(ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0)),
              testing::HasSubstr("  model error 0.12 (held-out 0.35)  "));
  figures.monitor->set_model_error_fresh(std::nan(""));
  EXPECT_THAT(ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0)),
              testing::HasSubstr("  held-out model error 0.35  "));
}

TEST(Progress, ReturnsHaveNoExponentBelowAMillion) {
  RunFigures figures = Figures(10, 0);
  figures.monitor->set_training_return(-1234.5);
  figures.replay->evaluations[0].mean_return = 1000;
  EXPECT_THAT(ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0)),
              testing::HasSubstr("  return -1234 (eval 1000)  "));
  figures.monitor->set_training_return(-1234567890);
  EXPECT_THAT(ProgressLine(Progress(50).Record(figures, absl::Seconds(1), 0)),
              testing::HasSubstr("  return -1.23e+09 (eval 1000)  "));
}

TEST(Progress, TheLineFitsItsWidth) {
  Progress progress(123456789);
  RunFigures figures = Figures(12345678, 1);
  figures.monitor->set_training_return(-123456789);
  figures.replay->evaluations[0].mean_return = -1.234e-7;
  figures.monitor->set_index(-123456.7);
  figures.monitor->set_verdict(monitor::v1::VERDICT_PESSIMISTIC);
  progress.Record(Figures(0, 0), absl::Seconds(1), 0);
  EXPECT_LE(ProgressLine(progress.Record(figures, absl::Seconds(2), 0)).size(), 120u);
}

TEST(Progress, ARestartedTrainerGivesNoNegativeRate) {
  Progress progress(5000);
  progress.Record(Figures(100, 900), absl::Seconds(1), 0);
  EXPECT_EQ(progress.Record(Figures(110, 50), absl::Seconds(2), 1)["updates_per_second"], 0);
}

TEST(Progress, DurationsAreShort) {
  EXPECT_EQ(ShortDuration(absl::Seconds(45)), "45s");
  EXPECT_EQ(ShortDuration(absl::Seconds(192)), "3m12s");
  EXPECT_EQ(ShortDuration(absl::Seconds(7500)), "2h05m");
}

TEST(Progress, VerdictsHaveNames) {
  EXPECT_EQ(VerdictName(monitor::v1::VERDICT_EXPLOITING), "exploiting");
  EXPECT_EQ(VerdictName(static_cast<monitor::v1::Verdict>(77)), "unknown");
}

}  // namespace
}  // namespace tandem::cli
