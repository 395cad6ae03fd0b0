#include "common/snapshot/assembler.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace tandem::snapshot {
namespace {

const std::string kBytes(1000, 'w');

v1::WatchResponse Part(uint64_t version, uint64_t offset, uint64_t size) {
  v1::WatchResponse part;
  part.set_epoch(2);
  part.set_version(version);
  part.set_total_size(kBytes.size());
  part.set_offset(offset);
  part.set_data(kBytes.substr(offset, size));
  part.set_hash(ContentHash(kBytes));
  return part;
}

TEST(ContentHashTest, IsXxh3) {
  EXPECT_EQ(ContentHash(""), 0x2d06800538d394c2u);  // from xxHash's specification
}

TEST(AssemblerTest, PutsPartsTogetherOneSnapshotAfterTheOther) {
  Assembler assembler({1, 9});
  for (uint64_t version : {1, 2, 7}) {
    EXPECT_EQ(*assembler.Add(Part(version, 0, 600)), nullptr);
    const auto snapshot = assembler.Add(Part(version, 600, 400));
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(*(*snapshot)->bytes, kBytes);
    EXPECT_EQ((*snapshot)->version, (Version{2, version}));
    EXPECT_EQ((*snapshot)->hash, ContentHash(kBytes));
  }
}

TEST(AssemblerTest, RefusesADamagedSnapshot) {
  v1::WatchResponse part = Part(1, 0, 1000);
  (*part.mutable_data())[500] ^= 1;
  EXPECT_EQ(Assembler({}).Add(part).status().code(), absl::StatusCode::kDataLoss);
}

TEST(AssemblerTest, RefusesEveryKindOfWrongFirstPart) {
  const std::vector<std::function<void(v1::WatchResponse&)>> faults = {
      [](auto& part) { part.set_epoch(0); },
      [](auto& part) { part.set_version(0); },
      [](auto& part) { part.set_version(3); },  // not newer than what is held
      [](auto& part) { part.set_epoch(1); },
      [](auto& part) { part.set_total_size(0); },
      [](auto& part) { part.set_total_size(kMaxSnapshotBytes + 1); },
      [](auto& part) { part.set_total_size(599); },  // less than the part holds
      [](auto& part) { part.set_offset(1); },
      [](auto& part) { part.clear_data(); },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    v1::WatchResponse part = Part(4, 0, 600);
    faults[i](part);
    EXPECT_EQ(Assembler({2, 3}).Add(part).status().code(), absl::StatusCode::kInvalidArgument) << i;
  }
}

TEST(AssemblerTest, RefusesEveryKindOfWrongNextPart) {
  const std::vector<std::function<void(v1::WatchResponse&)>> faults = {
      [](auto& part) { part.set_epoch(3); },
      [](auto& part) { part.set_version(5); },
      [](auto& part) { part.set_total_size(1001); },
      [](auto& part) { part.set_hash(1); },
      [](auto& part) { part.set_offset(0); },
      [](auto& part) { part.set_offset(601); },
      [](auto& part) { part.clear_data(); },
      [](auto& part) { part.mutable_data()->append("x"); },  // beyond the end
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    Assembler assembler({2, 3});
    ASSERT_TRUE(assembler.Add(Part(4, 0, 600)).ok());
    v1::WatchResponse part = Part(4, 600, 400);
    faults[i](part);
    EXPECT_EQ(assembler.Add(part).status().code(), absl::StatusCode::kInvalidArgument) << i;
  }
}

}  // namespace
}  // namespace tandem::snapshot
