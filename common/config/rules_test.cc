#include "common/config/rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/schema.h"

namespace tandem::config {
namespace {

namespace pb = google::protobuf;

/// Calls `visit(path, field)` for each plain field of the schema.
template <typename Visit>
void ForEachField(Visit visit) {
  const pb::Descriptor* root = CommentedSchema();
  for (int i = 0; i < root->field_count(); ++i) {
    const pb::Descriptor* section = SectionOf(root->field(i));
    for (int j = 0; j < section->field_count(); ++j) {
      visit(absl::StrCat(root->field(i)->name(), ".", section->field(j)->name()),
            section->field(j));
    }
  }
}

bool IsNumber(const pb::FieldDescriptor* field) {
  using Type = pb::FieldDescriptor::CppType;
  return field->cpp_type() != Type::CPPTYPE_STRING && field->cpp_type() != Type::CPPTYPE_BOOL &&
         field->cpp_type() != Type::CPPTYPE_ENUM;
}

TEST(Rules, EveryRuleNamesAField) {
  std::set<std::string> paths;
  ForEachField([&](const std::string& path, const pb::FieldDescriptor*) { paths.insert(path); });
  for (const FieldRule& rule : FieldRules()) {
    EXPECT_EQ(paths.count(std::string(rule.path)), 1u) << rule.path;
  }
}

TEST(Rules, CommentsStateTheDefault) {
  const std::regex pattern("Default: (.*)\\.$");
  ForEachField([&](const std::string& path, const pb::FieldDescriptor* field) {
    const std::string comment = CommentOf(field);
    const std::string value(RuleFor(path).default_value);
    std::smatch match;
    if (!std::regex_search(comment, match, pattern)) {
      EXPECT_EQ(value, "") << path << " has a default that its comment does not state";
    } else if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING || !value.empty()) {
      EXPECT_EQ(value, match[1].str()) << path;
    }
  });
}

TEST(Rules, CommentsStateTheRange) {
  const std::regex both("([0-9.]+) to ([0-9.]+|members)\\b"), least(">= ([0-9.]+)"), above("> 0");
  ForEachField([&](const std::string& path, const pb::FieldDescriptor* field) {
    if (!IsNumber(field)) return;
    const std::string comment = CommentOf(field);
    const FieldRule& rule = RuleFor(path);
    std::smatch match;
    if (std::regex_search(comment, match, both)) {
      EXPECT_EQ(rule.min, std::stod(match[1])) << path;
      if (match[2] != "members") {
        EXPECT_EQ(rule.max, std::stod(match[2])) << path;
      }
      EXPECT_FALSE(rule.above_min) << path;
    } else if (std::regex_search(comment, match, least)) {
      EXPECT_EQ(rule.min, std::stod(match[1])) << path;
      EXPECT_TRUE(std::isinf(rule.max)) << path;
      EXPECT_FALSE(rule.above_min) << path;
    } else if (std::regex_search(comment, above)) {
      EXPECT_EQ(rule.min, 0) << path;
      EXPECT_TRUE(rule.above_min) << path;
    }
  });
}

TEST(Rules, EveryFieldHasAComment) {
  ForEachField([](const std::string& path, const pb::FieldDescriptor* field) {
    EXPECT_GT(CommentOf(field).size(), 5u) << path;
  });
}

}  // namespace
}  // namespace tandem::config
