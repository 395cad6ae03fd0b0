#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/config/config.h"
#include "common/config/schema.h"

namespace tandem::config {
namespace {

TEST(Docs, CoverEveryField) {
  const std::string docs = Docs();
  const auto* root = CommentedSchema();
  ASSERT_EQ(root->field_count(), v1::RunConfig::descriptor()->field_count());
  for (int i = 0; i < root->field_count(); ++i) {
    EXPECT_THAT(docs, testing::HasSubstr(absl::StrCat("\n## ", root->field(i)->name(), "\n")));
    const auto* section = SectionOf(root->field(i));
    for (int j = 0; j < section->field_count(); ++j) {
      EXPECT_THAT(docs, testing::HasSubstr(absl::StrCat("\n| `", root->field(i)->name(), ".",
                                                        section->field(j)->name(), "` | ")));
    }
  }
}

TEST(Docs, ARowHoldsKindDefaultAndMeaning) {
  EXPECT_THAT(Docs(), testing::HasSubstr("| `policy.lr` | a number > 0 | `1e-3` | Adam's step size "
                                         "for actor and critics, > 0. |"));
  EXPECT_THAT(Docs(), testing::HasSubstr("- `ASYNC`: All sides run; their drift is bounded.\n"));
}

}  // namespace
}  // namespace tandem::config
