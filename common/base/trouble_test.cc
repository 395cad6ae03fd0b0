#include "common/base/trouble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tandem {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Trouble, ATopicHasOneUntilItIsOver) {
  EXPECT_THAT(Troubles(), IsEmpty());
  ClearTrouble("environment");
  SetTrouble("environment", "environment 0 failed");
  SetTrouble("checkpoint", "the disk is full");
  SetTrouble("environment", "environment 0 failed 2 times");
  EXPECT_THAT(Troubles(), ElementsAre("the disk is full", "environment 0 failed 2 times"));
  ClearTrouble("checkpoint");
  EXPECT_THAT(Troubles(), ElementsAre("environment 0 failed 2 times"));
  ClearTrouble("environment");
  EXPECT_THAT(Troubles(), IsEmpty());
}

TEST(Trouble, AScopeEndsItsOwn) {
  SetTrouble("a", "stays");
  {
    TroubleScope wait("b");
    EXPECT_THAT(Troubles(), ElementsAre("stays"));
    wait.Set("waiting for a server");
    EXPECT_THAT(Troubles(), ElementsAre("stays", "waiting for a server"));
  }
  EXPECT_THAT(Troubles(), ElementsAre("stays"));
  ClearTrouble("a");
}

TEST(Trouble, TextsAreOneShortLine) {
  SetTrouble("a", "last lines:\r\nTraceback\n\x1b[31mred");
  EXPECT_THAT(Troubles(), ElementsAre("last lines: | Traceback |  [31mred"));
  SetTrouble("a", std::string(10000, 'x'));
  EXPECT_EQ(Troubles()[0].size(), 500u);
  SetTrouble("a", "no \xff motor");
  EXPECT_THAT(Troubles(), ElementsAre("no \uFFFD motor"));
  ClearTrouble("a");
}

}  // namespace
}  // namespace tandem
