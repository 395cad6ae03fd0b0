#include "common/env/space_layout.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

constexpr int64_t kMaxFlat = int64_t{1} << 20;
constexpr int64_t kMaxStart = int64_t{1} << 53;  // a start is exact as a double

std::string Named(const SpaceLeaf& leaf) {
  return leaf.name.empty() ? "space" : absl::StrCat("leaf \"", leaf.name, "\"");
}

template <typename... Parts>
absl::Status Refuse(const SpaceLeaf& leaf, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(Named(leaf), ": ", parts...));
}

bool IsChoice(SpaceKind kind) {
  return kind == SpaceKind::kDiscrete || kind == SpaceKind::kMultiDiscrete;
}

struct Range {
  double low, high;
};

template <typename T>
constexpr Range RangeOf() {
  return {static_cast<double>(std::numeric_limits<T>::min()),
          static_cast<double>(std::numeric_limits<T>::max())};
}

/// What the doubles of an integer type may be.
Range IntegersOf(ElementType type) {
  switch (type) {
    case ElementType::kInt8:
      return RangeOf<int8_t>();
    case ElementType::kUint8:
      return RangeOf<uint8_t>();
    case ElementType::kInt32:
      return RangeOf<int32_t>();
    default:  // the largest double that is below 2^63
      return {-0x1p63, 0x1p63 - 1024};
  }
}

double Low(const SpaceLeaf& leaf, int64_t i) {
  return leaf.low[leaf.low.size() == 1 ? 0 : static_cast<size_t>(i)];
}

double High(const SpaceLeaf& leaf, int64_t i) {
  return leaf.high[leaf.high.size() == 1 ? 0 : static_cast<size_t>(i)];
}

absl::Status CheckBounds(SpaceLayout::Use use, const SpaceLeaf& leaf, size_t i) {
  const bool action = use == SpaceLayout::Use::kAction;
  const double low = leaf.low[i], high = leaf.high[i];
  const auto refuse = [&](const char* expected) {
    return Refuse(leaf, "expected ", expected, ", got low = ", low, ", high = ", high,
                  " in element ", i);
  };
  // As float32, which is what a learner of actions sees of them.
  const float flat_low = static_cast<float>(low), flat_high = static_cast<float>(high);
  if (action && (!std::isfinite(flat_low) || !std::isfinite(flat_high))) {
    return refuse("finite bounds of an action");
  }
  if (!(action ? flat_low < flat_high : low <= high)) {
    return refuse(action ? "low < high" : "low <= high");
  }
  if (IsInteger(leaf.type) && (std::floor(low) != low || std::floor(high) != high)) {
    return refuse("whole bounds of whole numbers");
  }
  return absl::OkStatus();
}

absl::Status CheckBox(SpaceLayout::Use use, const SpaceLeaf& leaf) {
  const size_t elements = static_cast<size_t>(leaf.elements());
  if ((leaf.low.size() != 1 && leaf.low.size() != elements) ||
      leaf.high.size() != leaf.low.size()) {
    return Refuse(leaf, "expected 1 or ", elements, " bounds on each side, got ", leaf.low.size(),
                  " lower and ", leaf.high.size(), " upper ones");
  }
  for (size_t i = 0; i < leaf.low.size(); ++i) {
    TANDEM_RETURN_IF_ERROR(CheckBounds(use, leaf, i));
  }
  return absl::OkStatus();
}

/// The number that stands for the first choice.
int64_t First(const SpaceLeaf& leaf) { return leaf.kind == SpaceKind::kDiscrete ? leaf.start : 0; }

absl::Status CheckChoices(const SpaceLeaf& leaf) {
  const size_t expected =
      leaf.kind == SpaceKind::kDiscrete ? 1 : static_cast<size_t>(leaf.elements());
  if (leaf.choices.size() != expected) {
    return Refuse(leaf, "expected ", expected, " numbers of choices, got ", leaf.choices.size());
  }
  for (const int64_t choices : leaf.choices) {
    if (choices < 1 || choices > kMaxFlat) {
      return Refuse(leaf, "expected 1 to ", kMaxFlat, " choices, got ", choices);
    }
    if (leaf.start < -kMaxStart || leaf.start > kMaxStart) {
      return Refuse(leaf, "expected a first choice within 2^53, got ", leaf.start);
    }
    const int64_t start = First(leaf), last = start + choices - 1;
    const Range range = IntegersOf(leaf.type);
    if (static_cast<double>(start) < range.low || static_cast<double>(last) > range.high) {
      return Refuse(leaf, "expected choices that its type holds, got ", start, " to ", last);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLeaf(SpaceLayout::Use use, const SpaceLeaf& leaf) {
  int64_t elements = 1;
  for (const int64_t size : leaf.shape) {
    if (size < 1 || size > kMaxFlat / elements) {
      return Refuse(leaf, "expected sizes >= 1 and at most ", kMaxFlat, " elements, got [",
                    absl::StrJoin(leaf.shape, ", "), "]");
    }
    elements *= size;
  }
  if (leaf.kind != SpaceKind::kBox && !IsInteger(leaf.type)) {
    return Refuse(leaf, "expected whole numbers where a choice is made, got floating point");
  }
  if (leaf.kind == SpaceKind::kDiscrete && !leaf.shape.empty()) {
    return Refuse(leaf, "expected a scalar, for it is one choice, got [",
                  absl::StrJoin(leaf.shape, ", "), "]");
  }
  if (leaf.kind == SpaceKind::kBox) return CheckBox(use, leaf);
  return IsChoice(leaf.kind) ? CheckChoices(leaf) : absl::OkStatus();
}

int64_t FlatSize(const SpaceLeaf& leaf) {
  if (!IsChoice(leaf.kind)) return leaf.elements();
  int64_t sum = 0;
  for (const int64_t choices : leaf.choices) sum += choices;
  return sum;
}

void AppendFlat(SpaceLayout::Use use, const SpaceLeaf& leaf, BoxSpace& flat) {
  const bool scores = use == SpaceLayout::Use::kAction && leaf.kind != SpaceKind::kBox;
  const bool box = leaf.kind == SpaceKind::kBox;
  for (int64_t i = 0, size = FlatSize(leaf); i < size; ++i) {
    flat.low.push_back(box ? static_cast<float>(Low(leaf, i)) : scores ? -1.0f : 0.0f);
    flat.high.push_back(box ? static_cast<float>(High(leaf, i)) : 1.0f);
  }
}

template <typename T>
double Load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return static_cast<double>(value);
}

template <typename T>
void Store(char* at, double value) {
  const T typed = static_cast<T>(value);
  std::memcpy(at, &typed, sizeof(T));
}

double LoadElement(ElementType type, const char* at) {
  switch (type) {
    case ElementType::kFloat32:
      return Load<float>(at);
    case ElementType::kFloat64:
      return Load<double>(at);
    case ElementType::kInt32:
      return Load<int32_t>(at);
    case ElementType::kInt64:
      return Load<int64_t>(at);
    case ElementType::kInt8:
      return Load<int8_t>(at);
    case ElementType::kUint8:
      return Load<uint8_t>(at);
  }
  return 0;
}

void StoreElement(ElementType type, char* at, double value) {
  switch (type) {
    case ElementType::kFloat32:
      return Store<float>(at, value);
    case ElementType::kFloat64:
      return Store<double>(at, value);
    case ElementType::kInt32:
      return Store<int32_t>(at, value);
    case ElementType::kInt64:
      return Store<int64_t>(at, value);
    case ElementType::kInt8:
      return Store<int8_t>(at, value);
    case ElementType::kUint8:
      return Store<uint8_t>(at, value);
  }
}

/// One row of a leaf -> its flat numbers.
absl::Status FlattenRow(const SpaceLeaf& leaf, float off, const char* row, float* flat) {
  const size_t size = SizeOf(leaf.type);
  for (int64_t i = 0; i < leaf.elements(); ++i) {
    const double value = LoadElement(leaf.type, row + static_cast<size_t>(i) * size);
    if (leaf.kind == SpaceKind::kBox) {
      *flat++ = static_cast<float>(value);
      continue;
    }
    const int64_t start = First(leaf);
    const int64_t choices = IsChoice(leaf.kind) ? leaf.choices[static_cast<size_t>(i)] : 2;
    const double choice = value - static_cast<double>(start);
    if (!(choice >= 0 && choice < static_cast<double>(choices))) {
      return Refuse(leaf, "expected a choice from ", start, " to ", start + choices - 1, ", got ",
                    value);
    }
    if (IsChoice(leaf.kind)) {
      std::fill(flat, flat + choices, off);
      flat[static_cast<int64_t>(choice)] = 1;
      flat += choices;
    } else {
      *flat++ = choice >= 1 ? 1 : off;
    }
  }
  return absl::OkStatus();
}

/// A number of a box in its bounds, and a whole one where its type is.
double Fit(const SpaceLeaf& leaf, int64_t i, float number) {
  const double value = std::clamp<double>(number, Low(leaf, i), High(leaf, i));
  if (!IsInteger(leaf.type)) return value;
  const Range range = IntegersOf(leaf.type);
  return std::clamp(std::round(value), range.low, range.high);
}

/// Flat numbers -> one row of a leaf.
absl::Status UnflattenRow(SpaceLayout::Use use, const SpaceLeaf& leaf, const float* flat,
                          char* row) {
  const size_t size = SizeOf(leaf.type);
  const float threshold = use == SpaceLayout::Use::kAction ? 0.0f : 0.5f;
  for (int64_t i = 0; i < leaf.elements(); ++i, row += size) {
    if (leaf.kind == SpaceKind::kBox) {
      const double value = Fit(leaf, i, *flat++);
      if (std::isnan(value) && IsInteger(leaf.type)) {
        return Refuse(leaf, "expected a number in element ", i, ", got nan");
      }
      StoreElement(leaf.type, row, value);
    } else if (IsChoice(leaf.kind)) {
      const size_t choices = static_cast<size_t>(leaf.choices[static_cast<size_t>(i)]);
      StoreElement(leaf.type, row,
                   static_cast<double>(First(leaf) + HighestScore(std::span(flat, choices))));
      flat += choices;
    } else {
      StoreElement(leaf.type, row, *flat++ > threshold ? 1 : 0);
    }
  }
  return absl::OkStatus();
}

}  // namespace

size_t SizeOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat64:
    case ElementType::kInt64:
      return 8;
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kInt8:
    case ElementType::kUint8:
      return 1;
  }
  return 0;
}

bool IsInteger(ElementType type) {
  return type != ElementType::kFloat32 && type != ElementType::kFloat64;
}

int64_t SpaceLeaf::elements() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

int64_t HighestScore(std::span<const float> scores) {
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

SpaceLayout::SpaceLayout(Use use, std::vector<SpaceLeaf> leaves)
    : use_(use), leaves_(std::move(leaves)) {
  for (const SpaceLeaf& leaf : leaves_) AppendFlat(use_, leaf, flat_);
}

absl::StatusOr<SpaceLayout> SpaceLayout::Create(Use use, std::vector<SpaceLeaf> leaves) {
  if (leaves.empty()) return absl::InvalidArgumentError("space: expected at least 1 leaf, got 0");
  std::set<std::string> names;
  int64_t flat = 0;
  for (const SpaceLeaf& leaf : leaves) {
    TANDEM_RETURN_IF_ERROR(CheckLeaf(use, leaf));
    if (!names.insert(leaf.name).second) return Refuse(leaf, "expected each name once");
    flat += FlatSize(leaf);
    if (flat > kMaxFlat) {
      return Refuse(leaf, "expected a flat row of at most ", kMaxFlat, " numbers, got ", flat);
    }
  }
  return SpaceLayout(use, std::move(leaves));
}

SpaceLayout SpaceLayout::Of(Use use, const BoxSpace& space) {
  SpaceLeaf leaf;
  leaf.shape = {space.dim()};
  leaf.low.assign(space.low.begin(), space.low.end());
  leaf.high.assign(space.high.begin(), space.high.end());
  return SpaceLayout(use, {std::move(leaf)});
}

SpaceLayout SpaceLayout::OfChoice(Use use, int64_t choices) {
  SpaceLeaf leaf;
  leaf.kind = SpaceKind::kDiscrete;
  leaf.type = ElementType::kInt64;
  leaf.choices = {choices};
  return SpaceLayout(use, {std::move(leaf)});
}

size_t SpaceLayout::row_bytes(size_t i) const {
  return static_cast<size_t>(leaves_[i].elements()) * SizeOf(leaves_[i].type);
}

absl::Status SpaceLayout::Flatten(std::span<const std::string_view> columns, int64_t rows,
                                  std::span<float> flat) const {
  const size_t dim = static_cast<size_t>(flat_.dim());
  if (columns.size() != leaves_.size() || flat.size() != static_cast<size_t>(rows) * dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", leaves_.size(), " columns and ", static_cast<size_t>(rows) * dim,
                     " numbers, got ", columns.size(), " and ", flat.size()));
  }
  const float off = use_ == Use::kAction ? -1.0f : 0.0f;
  size_t at = 0;
  for (size_t leaf = 0; leaf < leaves_.size(); ++leaf) {
    const size_t bytes = row_bytes(leaf);
    if (columns[leaf].size() != bytes * static_cast<size_t>(rows)) {
      return Refuse(leaves_[leaf], "expected ", bytes * static_cast<size_t>(rows),
                    " bytes in the column, got ", columns[leaf].size());
    }
    const size_t width = static_cast<size_t>(FlatSize(leaves_[leaf]));
    const bool plain =
        leaves_[leaf].kind == SpaceKind::kBox && leaves_[leaf].type == ElementType::kFloat32;
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      const char* from = columns[leaf].data() + row * bytes;
      float* to = flat.data() + row * dim + at;
      if (plain) {
        std::memcpy(to, from, bytes);
      } else {
        TANDEM_RETURN_IF_ERROR(FlattenRow(leaves_[leaf], off, from, to));
      }
    }
    at += width;
  }
  return absl::OkStatus();
}

absl::Status SpaceLayout::Unflatten(std::span<const float> flat, int64_t rows,
                                    std::vector<std::string>& columns) const {
  const size_t dim = static_cast<size_t>(flat_.dim());
  if (flat.size() != static_cast<size_t>(rows) * dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", static_cast<size_t>(rows) * dim, " numbers, got ", flat.size()));
  }
  columns.resize(leaves_.size());
  size_t at = 0;
  for (size_t leaf = 0; leaf < leaves_.size(); ++leaf) {
    const size_t bytes = row_bytes(leaf);
    columns[leaf].resize(bytes * static_cast<size_t>(rows));
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      TANDEM_RETURN_IF_ERROR(UnflattenRow(use_, leaves_[leaf], flat.data() + row * dim + at,
                                          columns[leaf].data() + row * bytes));
    }
    at += static_cast<size_t>(FlatSize(leaves_[leaf]));
  }
  return absl::OkStatus();
}

}  // namespace tandem
