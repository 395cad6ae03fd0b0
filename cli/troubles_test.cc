#include "cli/troubles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Lines(TroubleTeller& teller, const TroubleMap& troubles, int second) {
  std::vector<std::string> lines;
  for (const auto& news : teller.Tell(troubles, absl::Seconds(second))) lines.push_back(news.line);
  return lines;
}

TEST(TroubleTeller, TellsAtTheBeginningNowAndThenAndAtTheEnd) {
  TroubleTeller teller;
  EXPECT_THAT(Lines(teller, {}, 0), IsEmpty());
  EXPECT_THAT(Lines(teller, {{"actor-0", "environment 0 failed: no motor"}}, 1),
              ElementsAre("actor-0: environment 0 failed: no motor (logs/actor-0.log)"));
  const TroubleMap later = {{"actor-0", "environment 0 failed 9 times, last: no motor"},
                            {"policy_trainer", "no checkpoint is written: the disk is full"}};
  EXPECT_THAT(Lines(teller, later, 2),
              ElementsAre("policy_trainer: no checkpoint is written: the disk is full "
                          "(logs/policy_trainer.log)"))
      << "the count alone is no news";
  EXPECT_THAT(Lines(teller, later, 30), IsEmpty());
  EXPECT_THAT(Lines(teller, later, 31),
              ElementsAre("actor-0: environment 0 failed 9 times, last: no motor "
                          "(logs/actor-0.log)"));
  EXPECT_THAT(Lines(teller, {{"policy_trainer", "the same"}}, 31),
              ElementsAre("actor-0: works again"));
  EXPECT_THAT(Lines(teller, {{"policy_trainer", "the same"}}, 31), IsEmpty());
}

TEST(TroubleTeller, OnlyABeginningIsMarkedAsOne) {
  TroubleTeller teller;
  const TroubleMap troubles = {{"actor-0", "it hangs"}};
  EXPECT_TRUE(teller.Tell(troubles, absl::Seconds(1))[0].begins);
  EXPECT_FALSE(teller.Tell(troubles, absl::Seconds(40))[0].begins);
  const auto over = teller.Tell({}, absl::Seconds(41));
  ASSERT_EQ(over.size(), 1u);
  EXPECT_FALSE(over[0].begins);
  EXPECT_EQ(over[0].trouble, "");
}

}  // namespace
}  // namespace tandem::cli
