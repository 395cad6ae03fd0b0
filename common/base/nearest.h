#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

/// The element of `names` nearest to `wanted`, for "did you mean" in errors: the fewest inserted,
/// deleted, replaced or swapped characters, the first among equals. Empty where none is near:
/// within a third of wanted's length, but one character at least. Pure. The result lives as long as
/// `names`.
std::string_view NearestName(std::string_view wanted, const std::vector<std::string>& names);

}  // namespace tandem
