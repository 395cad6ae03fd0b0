#include "common/clients/environment_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace tandem::clients {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EnvironmentCommandTest, SplitsWordsAsAShellDoes) {
  EXPECT_THAT(*SplitWords("  serve --gym\tHopper-v5 \n"),
              ElementsAre("serve", "--gym", "Hopper-v5"));
  EXPECT_THAT(*SplitWords(R"(a '' "b c" d'e f'g)"), ElementsAre("a", "", "b c", "de fg"));
  EXPECT_THAT(*SplitWords(R"(a\ b '\n' "\"\\\n" \'x)"),
              ElementsAre("a b", R"(\n)", R"("\\n)", "'x"));
  EXPECT_THAT(*SplitWords("echo $HOME *"), ElementsAre("echo", "$HOME", "*"));
  EXPECT_THAT(std::string(SplitWords("a 'b").status().message()), HasSubstr("closing '"));
  EXPECT_TRUE(absl::IsInvalidArgument(SplitWords(" \t").status()));
}

TEST(EnvironmentCommandTest, AGymnasiumIdBecomesTheServerOfTheSourceTree) {
  EnvironmentSource source;
  source.name = "gym:Hopper-v5";
  source.threads = 4;
  source.arguments = R"({"ctrl_cost_weight": 0})";
  const auto command = GymCommand(source);
  ASSERT_TRUE(command.ok()) << command.status();
  ASSERT_NE(std::getenv("TANDEM_PYTHON"), nullptr);
  EXPECT_EQ(command->argv[0], std::getenv("TANDEM_PYTHON"));
  EXPECT_THAT(command->argv, Contains("Hopper-v5"));
  EXPECT_THAT(command->argv, Contains(source.arguments));
  EXPECT_EQ(command->environment[0].first, "PYTHONPATH");
  EXPECT_THAT(command->environment[0].second, HasSubstr("/python"));
  source.name = "gym:";
  EXPECT_TRUE(absl::IsInvalidArgument(GymCommand(source).status()));
}

TEST(EnvironmentCommandTest, WhyGymnasiumDoesNotStartIsTheLastLine) {
  const EnvironmentProcess::Options command{.argv = {"py", "--gym", "X-v1"}, .environment = {}};
  const auto explain = [&command](const std::string& traceback) {
    return ExplainGym(command, absl::UnavailableError("it ended:\n" + traceback));
  };
  EXPECT_EQ(explain("gymnasium.error.NameNotFound: no `X`"),
            absl::NotFoundError("NameNotFound: no `X` (the command was: py --gym X-v1)"));
  EXPECT_EQ(explain("ValueError: 3").message(),
            "the command was: py --gym X-v1\nit ended:\nValueError: 3");
  const absl::Status missing = explain("ModuleNotFoundError: No module named 'gymnasium'");
  EXPECT_TRUE(absl::IsUnavailable(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("\nGymnasium's environments need"));
}

}  // namespace
}  // namespace tandem::clients
