#include "services/model_trainer/core/knobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clients/testing/fake_directive_client.h"

namespace tandem::model_trainer {
namespace {

using coadaptation::Knob;
using testing::ElementsAre;

/// Records what is asked of it.
class Recorder : public dynamics::EnsembleLearner {
 public:
  std::vector<int> resets;
  int long_fits = 0;

  void MakeNextFitLong() override { ++long_fits; }
  absl::Status ResetMember(int member) override {
    resets.push_back(member);
    return absl::OkStatus();
  }
  absl::StatusOr<dynamics::FitReport> Fit(const TransitionBatch&, const TransitionBatch&,
                                          const std::function<bool()>&) override {
    return dynamics::FitReport{};
  }
  nn::TensorFile ExportModel() const override { return {}; }
  nn::TensorFile SaveState() const override { return {}; }
  absl::Status LoadState(const nn::TensorFile&) override { return absl::OkStatus(); }
};

struct Monitored {
  void Set(double refits, double resets, absl::Duration ttl = absl::Hours(1)) {
    client.Set(client.Held().directive.version + 1,
               {{.knob = Knob::kRefit, .value = refits, .safe_value = 0},
                {.knob = Knob::kMemberReset, .value = resets, .safe_value = 0}},
               ttl);
    knobs.Apply({});
  }
  void Fit() {
    ASSERT_TRUE(knobs.Prepare(learner).ok());
    knobs.FitDone();
  }
  FakeClock clock;
  FakeDirectiveClient client{clock};
  metrics::Registry registry;
  Recorder learner;
  Knobs knobs{3, &client, registry, clock};
};

TEST(ModelKnobsTest, ResetsOneMoreMemberForEachCountAndStartsOverAfterTheLast) {
  Monitored m;
  m.Fit();
  EXPECT_THAT(m.learner.resets, ElementsAre());
  m.Set(0, 1);
  m.Fit();
  m.Fit();
  EXPECT_THAT(m.learner.resets, ElementsAre(0));
  m.Set(0, 3);
  m.Fit();
  EXPECT_THAT(m.learner.resets, ElementsAre(0, 1, 2));
  m.Set(0, 1e6);
  m.Fit();
  EXPECT_THAT(m.learner.resets, ElementsAre(0, 1, 2, 0, 1, 2)) << "all of them at most";
}

TEST(ModelKnobsTest, EachRefitAskedForMakesOneFitLong) {
  Monitored m;
  m.Set(2, 0);
  EXPECT_TRUE(m.knobs.refit_wanted());
  ASSERT_TRUE(m.knobs.Prepare(m.learner).ok());  // and the fit fails
  EXPECT_TRUE(m.knobs.refit_wanted());
  m.Fit();
  EXPECT_TRUE(m.knobs.refit_wanted());
  m.Fit();
  EXPECT_FALSE(m.knobs.refit_wanted());
  m.Fit();
  EXPECT_EQ(m.learner.long_fits, 3);
}

TEST(ModelKnobsTest, ExpiryAndRestartRepeatNothing) {
  Monitored m;
  m.Set(1, 1, absl::Seconds(60));
  m.Fit();
  m.clock.Advance(absl::Seconds(60));
  m.knobs.Apply({});
  EXPECT_EQ(m.client.acknowledged().back().outcome, DirectiveOutcome::kExpired);
  m.Set(1, 1);
  m.Fit();
  EXPECT_EQ(m.learner.long_fits, 1);
  EXPECT_THAT(m.learner.resets, ElementsAre(0));

  nn::TensorFile state;
  m.knobs.Save(&state);
  Monitored restarted;
  restarted.knobs.Load(state);
  restarted.Set(1, 2);
  restarted.Fit();
  EXPECT_EQ(restarted.learner.long_fits, 0);
  EXPECT_THAT(restarted.learner.resets, ElementsAre(1));
}

}  // namespace
}  // namespace tandem::model_trainer
