#include "common/base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace tandem {
namespace {

// Edit distance with swaps of neighbours (optimal string alignment), by three rows of the table.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view NearestName(std::string_view wanted, const std::vector<std::string>& names) {
  std::string_view nearest;
  size_t least = std::numeric_limits<size_t>::max();
  for (const std::string& name : names) {
    const size_t distance = Distance(wanted, name);
    if (distance < least) {
      least = distance;
      nearest = name;
    }
  }
  // Further away it is another word, not one mistyped.
  const size_t most = std::max<size_t>(1, wanted.size() / 3);
  return least <= most && least < wanted.size() ? nearest : std::string_view();
}

}  // namespace tandem
