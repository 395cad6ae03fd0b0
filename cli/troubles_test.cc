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
  const TroubleMap one = {{"policy_trainer", "no checkpoint is written: the disk is full"}};
  EXPECT_THAT(Lines(teller, one, 40), ElementsAre(testing::StartsWith("policy_trainer: no")));
  EXPECT_THAT(Lines(teller, one, 60), IsEmpty()) << "it may come back";
  EXPECT_THAT(Lines(teller, one, 61), ElementsAre("actor-0: works again"));
  EXPECT_THAT(Lines(teller, one, 62), IsEmpty());
}

TEST(TroubleTeller, ASecondTroubleOfAMemberIsToldToo) {
  TroubleTeller teller;
  const std::string robot = "environment 0 failed: no motor";
  const std::string disk = "no checkpoint is written: the disk is full";
  EXPECT_EQ(Lines(teller, {{"actor-0", robot}}, 1).size(), 1u);
  EXPECT_THAT(Lines(teller, {{"actor-0", robot + "\n" + disk}}, 2),
              ElementsAre("actor-0: " + disk + " (logs/actor-0.log)"));
  EXPECT_THAT(Lines(teller, {{"actor-0", disk}}, 31), IsEmpty());
  EXPECT_THAT(Lines(teller, {{"actor-0", disk}}, 32), testing::SizeIs(1));
  EXPECT_THAT(Lines(teller, {}, 61), IsEmpty());
  EXPECT_THAT(Lines(teller, {}, 62), ElementsAre("actor-0: works again")) << "once";
  EXPECT_EQ(TroubleLine("a", "x\ny"), "a: x; y (logs/a.log)");
}

TEST(TroubleTeller, WhatComesAndGoesIsNotToldEachTime) {
  TroubleTeller teller;
  size_t lines = 0, beginnings = 0;
  for (int second = 0; second < 600; ++second) {
    TroubleMap troubles;
    if (second % 5 == 0) troubles["actor-0"] = "environment 0 failed: it halts";
    for (const auto& news : teller.Tell(troubles, absl::Seconds(second))) {
      ++lines;
      if (news.begins) ++beginnings;
    }
  }
  EXPECT_EQ(lines, 20u);
  EXPECT_EQ(beginnings, 1u);
}

TEST(TroubleTeller, OnlyABeginningIsMarkedAsOne) {
  TroubleTeller teller;
  const TroubleMap troubles = {{"actor-0", "it hangs"}};
  EXPECT_TRUE(teller.Tell(troubles, absl::Seconds(1))[0].begins);
  EXPECT_FALSE(teller.Tell(troubles, absl::Seconds(40))[0].begins);
  const auto over = teller.Tell({}, absl::Seconds(70));
  ASSERT_EQ(over.size(), 1u);
  EXPECT_FALSE(over[0].begins);
  EXPECT_EQ(over[0].trouble, "");
}

}  // namespace
}  // namespace tandem::cli
