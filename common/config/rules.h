#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace tandem::config {

/// What the schema's types cannot say of a field: its default and its range. The comments of
/// config.proto repeat both for the reader; rules_test holds the two together.
struct FieldRule {
  std::string_view path;           ///< Such as "policy.lr".
  std::string_view default_value;  ///< As it would stand in a recipe; empty: stays unset.
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;         ///< min itself is out of range.
  std::string_view choices = {};  ///< Texts allowed, comma-separated; empty: any.

  bool Allows(double value) const;
  /// "from 1 to 64", ">= 0", "> 0" or "".
  std::string Range() const;
};

/// One rule for each field with a default or a range, in the schema's order.
std::span<const FieldRule> FieldRules();

/// The rule of a field; one without default and range where the table has none.
const FieldRule& RuleFor(std::string_view path);

}  // namespace tandem::config
