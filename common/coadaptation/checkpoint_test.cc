#include "common/coadaptation/checkpoint.h"

#include <cmath>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace tandem::coadaptation {
namespace {

TEST(CheckpointTest, EveryNumberIsNamedOnceAndStartsUnknown) {
  Checkpoint checkpoint;
  std::set<std::string> names;
  double next = 0;
  for (const CheckpointField& field : CheckpointFields()) {
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
    EXPECT_TRUE(std::isnan(checkpoint.*field.member)) << field.name;
    checkpoint.*field.member = next++;
  }
  // Nothing was forgotten, nothing named twice.
  EXPECT_EQ(names.size(), sizeof(Checkpoint) / sizeof(double));
  next = 0;
  for (const CheckpointField& field : CheckpointFields()) {
    EXPECT_EQ(checkpoint.*field.member, next++) << field.name;
  }
}

}  // namespace
}  // namespace tandem::coadaptation
