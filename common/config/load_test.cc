#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config/config.h"

namespace tandem::config {
namespace {

std::string ErrorOf(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  const auto config = Parse(yaml, "r.yaml", overrides);
  if (config.ok()) return "no error";
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(config.status().message());
}

TEST(Load, AnEmptyRecipeIsAllDefaults) {
  const auto config = Parse("", "recipes/pendulum.yaml", {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->run().name(), "pendulum-s0");
  EXPECT_EQ(config->replay().capacity(), 1000000);
  EXPECT_DOUBLE_EQ(config->policy().lr(), 1e-3);
  EXPECT_EQ(config->pace().mode(), v1::PACE_MODE_LOCKSTEP);
  EXPECT_EQ(config->model().termination(), v1::TERMINATION_KNOWN);
  EXPECT_THAT(config->model().hidden(), testing::ElementsAre(200, 200, 200, 200));
  EXPECT_THAT(config->policy().hidden(), testing::ElementsAre(256, 256));
  EXPECT_FALSE(config->stop().has_return_at_least());
  EXPECT_FALSE(config->env().has_seed());
}

TEST(Load, ARecipeSetsFieldsAndOverridesReplaceThem) {
  const auto config = Parse(
      "run: {seed: 4}\nenv:\n  name: pendulum\nmodel:\n  hidden: [64, 32]\npace:\n  mode: async\n"
      "policy:\n",
      "r.yaml",
      {"env.name=inverted_pendulum", "model.hidden=[16]", "replay.capacity=1e5",
       "endpoints.listen=unix:/tmp/a b", "stop.return_at_least=-3.5"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->run().name(), "r-s4");
  EXPECT_EQ(config->env().name(), "inverted_pendulum");
  EXPECT_THAT(config->model().hidden(), testing::ElementsAre(16));
  EXPECT_EQ(config->pace().mode(), v1::PACE_MODE_ASYNC);
  EXPECT_EQ(config->replay().capacity(), 100000);
  EXPECT_EQ(config->endpoints().listen(), "unix:/tmp/a b");
  EXPECT_DOUBLE_EQ(config->stop().return_at_least(), -3.5);
}

TEST(Load, NullUnsetsAField) {
  const auto config = Parse("stop: {return_at_least: 5}\npolicy: {lr: 1}", "r.yaml",
                            {"stop.return_at_least=null", "policy.lr=null"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->stop().has_return_at_least());
  EXPECT_DOUBLE_EQ(config->policy().lr(), 1e-3);
}

TEST(Load, UnknownKeysNameFileLineAndTheNearestKey) {
  EXPECT_EQ(ErrorOf("run:\n  seed: 1\npolcy:\n  lr: 1\n"),
            "r.yaml:3: unknown key \"polcy\"; did you mean \"policy\"?");
  EXPECT_EQ(ErrorOf("policy:\n\n  temprature_lr: 1\n"),
            "r.yaml:3: unknown key \"temprature_lr\" in policy; did you mean \"temperature_lr\"?");
}

TEST(Load, WrongTypesSayWhatWasExpected) {
  EXPECT_EQ(ErrorOf("policy:\n  lr: fast\n"),
            "r.yaml:2: policy.lr: expected a number > 0, got \"fast\"");
  EXPECT_EQ(ErrorOf("actor: {num_envs: 1.5}"),
            "r.yaml:1: actor.num_envs: expected a whole number from 1 to 4096, got \"1.5\"");
  EXPECT_EQ(ErrorOf("actor:\n  record_evaluation_steps: maybe"),
            "r.yaml:2: actor.record_evaluation_steps: expected true or false, got \"maybe\"");
  EXPECT_EQ(ErrorOf("pace:\n  mode: sync"),
            "r.yaml:2: pace.mode: expected LOCKSTEP or ASYNC, got \"sync\"");
  EXPECT_EQ(ErrorOf("runtime:\n  device: tpu"),
            "r.yaml:2: runtime.device: expected cpu or cuda or auto, got \"tpu\"");
  EXPECT_EQ(ErrorOf("policy:\n  hidden: 64"),
            "r.yaml:2: policy.hidden: expected a list of whole numbers from 1 to 4096, got \"64\"");
  EXPECT_EQ(ErrorOf("policy:\n  lr: [1]"),
            "r.yaml:2: policy.lr: expected a number > 0, got a list");
  EXPECT_EQ(ErrorOf("policy:\n  lr:\n"), "r.yaml:2: policy.lr: expected a number > 0, got nothing");
  EXPECT_EQ(ErrorOf("policy: 3"), "r.yaml:1: policy: expected a section of keys, got \"3\"");
  EXPECT_EQ(ErrorOf("- policy"), "r.yaml:1: expected sections such as \"policy:\", got a list");
  EXPECT_EQ(ErrorOf("policy:\n  lr: nan"),
            "r.yaml:2: policy.lr: expected a number > 0, got \"nan\"");
}

TEST(Load, ValuesOutOfRangeSayTheRange) {
  EXPECT_EQ(ErrorOf("policy:\n  lr: 0"), "r.yaml:2: policy.lr: expected a number > 0, got \"0\"");
  EXPECT_EQ(ErrorOf("replay:\n  capacity: 10"),
            "r.yaml:2: replay.capacity: expected a whole number >= 1000, got \"10\"");
  EXPECT_EQ(ErrorOf("run:\n  seed: -1"),
            "r.yaml:2: run.seed: expected a whole number >= 0, got \"-1\"");
  EXPECT_EQ(ErrorOf("model:\n  hidden: [64, 0]"),
            "r.yaml:2: model.hidden: expected a list of whole numbers from 1 to 4096, got \"0\"");
  EXPECT_EQ(ErrorOf("model:\n  hidden: []"),
            "r.yaml:2: model.hidden: expected a list of whole numbers from 1 to 4096, got a list");
  EXPECT_EQ(ErrorOf("model:\n  max_gradient_steps: 3000000000"),
            "r.yaml:2: model.max_gradient_steps: expected a whole number >= 1, got \"3000000000\"");
  EXPECT_EQ(ErrorOf("env:\n  step_timeout_seconds: 86401"),
            "r.yaml:2: env.step_timeout_seconds: expected a number > 0 and at most 86400, got "
            "\"86401\"");
  EXPECT_EQ(ErrorOf("env:\n  reset_timeout_seconds: 0"),
            "r.yaml:2: env.reset_timeout_seconds: expected a number > 0 and at most 86400, got "
            "\"0\"");
}

TEST(Load, AKeyThatAppearsTwiceIsAnError) {
  EXPECT_EQ(ErrorOf("policy:\n  lr: 1\n  tau: 1\n  lr: 2\n"),
            "r.yaml:4: key \"policy.lr\" appears twice; it is on line 2 already");
  EXPECT_EQ(ErrorOf("policy:\n  lr: 1\nrun:\n  seed: 1\npolicy:\n  tau: 1\n"),
            "r.yaml:5: key \"policy\" appears twice; it is on line 1 already");
}

TEST(Load, BadYamlNamesTheLine) {
  EXPECT_THAT(ErrorOf("policy:\n  lr: [1\n"), testing::HasSubstr("not valid YAML: "));
  EXPECT_THAT(ErrorOf("policy:\n\tlr: 1\n"), testing::StartsWith("r.yaml:2: not valid YAML: "));
  EXPECT_THAT(ErrorOf("run:\n  seed: 1\n---\nrun:\n"), testing::HasSubstr("a second document"));
}

TEST(Load, TellsWhereAFieldWasSet) {
  Origins origins = {{"left", "over"}};
  ASSERT_TRUE(Parse("policy:\n  lr: 1\n  tau: 1\n", "r.yaml", {"policy.tau=0.5"}, &origins).ok());
  EXPECT_EQ(origins,
            (Origins{{"policy.lr", "r.yaml:2"}, {"policy.tau", "override \"policy.tau=0.5\""}}));
}

TEST(Load, AKeyThatIsNearNoneIsAnsweredWithAll) {
  EXPECT_THAT(ErrorOf("", {"actor.zzzzzz=1"}),
              testing::AllOf(testing::HasSubstr("unknown key \"zzzzzz\" in actor; known: num_envs"),
                             testing::Not(testing::HasSubstr("did you mean"))));
}

TEST(Load, OverrideErrorsQuoteTheOverride) {
  EXPECT_EQ(ErrorOf("", {"polcy.lr=1"}),
            "override \"polcy.lr=1\": unknown key \"polcy\"; did you mean \"policy\"?");
  EXPECT_EQ(ErrorOf("", {"policy.rl=1"}),
            "override \"policy.rl=1\": unknown key \"rl\" in policy; did you mean \"lr\"?");
  EXPECT_EQ(ErrorOf("", {"policy.lr=-1"}),
            "override \"policy.lr=-1\": policy.lr: expected a number > 0, got \"-1\"");
  EXPECT_EQ(ErrorOf("", {"policy=1"}),
            "override \"policy=1\": \"policy\" is a section; name a field in it, such as "
            "policy.hidden");
  EXPECT_EQ(ErrorOf("", {"policy.lr.x=1"}),
            "override \"policy.lr.x=1\": \"policy.lr\" is a field, not a section");
  EXPECT_EQ(ErrorOf("", {"policy.lr"}),
            "override \"policy.lr\": expected path.to.field=value, such as policy.lr=1e-4");
  EXPECT_EQ(
      ErrorOf("", {"model.hidden=64,64"}),
      "override \"model.hidden=64,64\": model.hidden: expected a list of whole numbers from 1 "
      "to 4096, got \"64,64\"");
}

TEST(Load, FieldsAreCheckedAgainstEachOther) {
  EXPECT_EQ(ErrorOf("model:\n  members: 3\n"),
            "r.yaml:2: model.elites is 5, but must be at most model.members, which is 3");
  EXPECT_EQ(
      ErrorOf("model:\n  elites: 9\n"),
      "r.yaml:2: model.elites is 9, but must be at most model.members, which is 7 by default");
  EXPECT_EQ(ErrorOf("", {"monitor.warning=0.3"}),
            "override \"monitor.warning=0.3\": monitor.warning is 0.3, but must be at most "
            "monitor.tolerance, which is 0.2 by default");
  EXPECT_EQ(ErrorOf("imagination:\n  schedule_start: 9\n  schedule_end: 8\n"),
            "r.yaml:2: imagination.schedule_start is 9, but must be at most "
            "imagination.schedule_end, which is 8");
  EXPECT_EQ(
      ErrorOf("run:\n  name: a/b\n"),
      "r.yaml:2: run.name: expected letters, digits, '.', '_' and '-', at most 100 and no '.' "
      "or '-' first, got \"a/b\"");
}

TEST(Load, TheJointObjectiveNeedsADiscountAndOrderedBounds) {
  EXPECT_EQ(ErrorOf("objective:\n  kind: MNM\npolicy:\n  discount: 1\n"),
            "r.yaml:4: policy.discount is 1, but objective.kind MNM needs less");
  EXPECT_EQ(
      ErrorOf("objective:\n  logit_lower: 1\n"),
      "r.yaml:2: objective.logit_lower is 1, but must be at most objective.logit_upper, which "
      "is 0 by default");
  EXPECT_EQ(
      ErrorOf("objective:\n  weight_min: 2\n"),
      "r.yaml:2: objective.weight_min is 2, but must be at most objective.weight_max, which is "
      "1 by default");
}

TEST(Load, RewardsAreMadePositiveInOneWay) {
  const std::string exp = "objective:\n  reward_transform: EXP\n";
  EXPECT_TRUE(Parse(exp + "  reward_scale: 0.01\n  reward_min: 1e-9\n", "r.yaml", {}).ok());
  EXPECT_EQ(ErrorOf("objective:\n  reward_scale: 2\n"),
            "r.yaml:2: objective.reward_scale is 2, but reward_transform SHIFT has none: expected "
            "EXP or SOFTPLUS");
  EXPECT_EQ(ErrorOf(exp + "  reward_shift: 2\n"),
            "r.yaml:3: objective.reward_shift is 2, but reward_transform EXP and SOFTPLUS shift "
            "nothing");
  EXPECT_EQ(ErrorOf(exp + "  log_reward: false\n"),
            "r.yaml:3: objective.log_reward is false, but reward_transform EXP and SOFTPLUS are "
            "for its logarithm");
}

TEST(Load, RewardsPaidAsTheyAreAreNotMadePositive) {
  const std::string plain = "objective:\n  log_reward: false\n";
  EXPECT_TRUE(Parse(plain, "r.yaml", {}).ok());
  for (const char* field : {"reward_shift", "reward_min", "terminal_reward"}) {
    const std::string set = absl::StrCat("  ", field, ": 2\n");
    EXPECT_TRUE(Parse(absl::StrCat("objective:\n", set), "r.yaml", {}).ok()) << field;
    EXPECT_EQ(ErrorOf(absl::StrCat(plain, set)),
              absl::StrCat("r.yaml:3: objective.", field,
                           " is set, but log_reward false pays rewards as they are: leave it out"));
  }
}

TEST(Load, LabelsStayProbabilities) {
  EXPECT_TRUE(Parse("objective:\n  classifier_label_range: 0.05\n", "r.yaml", {}).ok());
  EXPECT_EQ(ErrorOf("objective:\n  classifier_label_range: 0.1\n"),
            "r.yaml:2: objective.classifier_label_range is 0.1, but must be at most 0.05, what "
            "objective.classifier_target leaves below 1");
}

TEST(Load, ADualWeightStartsInItsRangeAndHasATargetInReach) {
  const std::string dual = "objective:\n  weight_mode: DUAL\n";
  EXPECT_EQ(ErrorOf(dual + "  weight: 0.01\n"),
            "r.yaml:3: objective.weight_min is 0.02, but must be at most objective.weight, which "
            "is 0.01");
  EXPECT_EQ(ErrorOf(dual + "  weight: 2\n"),
            "r.yaml:3: objective.weight is 2, but must be at most objective.weight_max, which is 1 "
            "by default");
  EXPECT_EQ(ErrorOf(dual + "  divergence_target: 5\n"),
            "r.yaml:3: objective.divergence_target is 5, but must be below 5, the most that a step "
            "can cost with objective.logit_lower");
  EXPECT_EQ(ErrorOf(dual + "  divergence_target: 3\n"),
            "r.yaml:3: objective.divergence_target is 3, but must be below 2.94, the most that a "
            "step costs with objective.classifier_target and objective.logit_tolerance");
  EXPECT_FALSE(
      Parse(dual + "  divergence_target: 2.8\n  logit_tolerance: 0.2\n", "r.yaml", {}).ok());
  EXPECT_TRUE(Parse(dual + "  divergence_target: 3\n  classifier_target: 1\n", "r.yaml", {}).ok());
  EXPECT_TRUE(Parse(dual + "  divergence_target: 3\n  state_price: true\n", "r.yaml", {}).ok());
  EXPECT_EQ(ErrorOf(dual + "  state_price: true\n  classifier_target: 0.7\n"),
            "r.yaml:4: objective.state_tolerance is 1, but must be below 0.847, the most that a "
            "state costs with objective.classifier_target");
  EXPECT_EQ(ErrorOf(dual + "  logit_upper: -0.5\n"),
            "r.yaml:3: objective.divergence_target is 0.1, but must be at least 0.5, the least "
            "that a step can cost with objective.logit_upper");
  EXPECT_TRUE(Parse(dual, "r.yaml", {}).ok());
  EXPECT_TRUE(Parse("objective:\n  weight: 2\n", "r.yaml", {}).ok());  // not DUAL
}

TEST(Load, ASimulatorHasNoLossToWeigh) {
  const std::string simulator = "model:\n  kind: SIMULATOR\nobjective:\n  kind: MNM\n";
  EXPECT_TRUE(Parse(simulator, "r.yaml", {}).ok());
  EXPECT_EQ(ErrorOf(simulator + "  model_ratio_weight: 0.05\n"),
            "r.yaml:5: objective.model_ratio_weight is 0.05, but model.kind SIMULATOR learns "
            "nothing: leave it at 0");
}

TEST(Load, AMissingFileIsNamed) {
  const auto config = Load("/nowhere/r.yaml", {});
  EXPECT_EQ(config.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(config.status().message()), testing::HasSubstr("/nowhere/r.yaml"));
}

TEST(Load, EveryRecipeOfTheRepositoryLoads) {
  const char* source = std::getenv("TANDEM_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  int recipes = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(source) + "/recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    ++recipes;
    const auto config = Load(entry.path().string(), {});
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_FALSE(config->env().name().empty()) << entry.path();
  }
  EXPECT_GE(recipes, 4);
}

TEST(SeedFor, UsesTheOwnSeedElseDerivesOneForEachPart) {
  v1::RunConfig config;
  config.mutable_run()->set_seed(7);
  EXPECT_EQ(SeedFor(config, true, 3, "model"), 3u);
  EXPECT_EQ(SeedFor(config, false, 3, "model"), SeedFor(config, false, 4, "model"));
  EXPECT_NE(SeedFor(config, false, 0, "model"), SeedFor(config, false, 0, "policy"));
}

}  // namespace
}  // namespace tandem::config
