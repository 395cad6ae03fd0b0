#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/spec.h"

namespace tandem {

/// How the elements of a leaf are meant; as Gymnasium's spaces of these names.
enum class SpaceKind : uint8_t { kBox = 1, kDiscrete, kMultiDiscrete, kMultiBinary };

/// Type of the elements of a leaf as its environment sees them.
enum class ElementType : uint8_t { kFloat32 = 1, kFloat64, kInt32, kInt64, kInt8, kUint8 };

/// Bytes of one element.
size_t SizeOf(ElementType type);
/// Whether the elements are whole numbers.
bool IsInteger(ElementType type);

/// One array of an observation or an action, as its environment sees it. A nested space is a list
/// of leaves with dotted names.
struct SpaceLeaf {
  std::string name;  ///< Unique in its space; empty where the space is a single array.
  SpaceKind kind = SpaceKind::kBox;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;    ///< Each >= 1; empty: a scalar.
  std::vector<double> low;       ///< Boxes: one for all elements or one for each.
  std::vector<double> high;      ///< As long as low.
  std::vector<int64_t> choices;  ///< Discrete: one number; multi-discrete: one for each element.
  int64_t start = 0;             ///< Discrete: the first choice; within 2^53.

  int64_t elements() const;  ///< Product of the shape.
  bool operator==(const SpaceLeaf&) const = default;
};

/// Between the arrays of an environment and the flat float32 rows that learners see.
///
/// Leaves are concatenated in order. In observations a choice of n becomes n numbers, 1 for the
/// choice and 0 for the others, and a binary is 0 or 1. In actions a choice of n is n scores in
/// [-1, 1], of which the highest is taken, the first on a tie; a binary is one score in [-1, 1],
/// taken as 1 above 0. So every learner of continuous actions can play a discrete environment.
///
/// Immutable, thread-safe. A leaf's column holds its rows one after another, little-endian.
class SpaceLayout {
 public:
  enum class Use : uint8_t { kObservation, kAction };

  /// INVALID_ARGUMENT, naming the leaf, what was expected and what came: no leaf, a name twice,
  /// bounds of a wrong number or order, bounds of whole numbers that are not whole, an action
  /// without finite bounds or with low = high (as float32), choices < 1 or not of a type of whole
  /// numbers that holds them, a flat row of more than 2^20 numbers.
  static absl::StatusOr<SpaceLayout> Create(Use use, std::vector<SpaceLeaf> leaves);

  /// The layout of a space that is one float32 array already.
  static SpaceLayout Of(Use use, const BoxSpace& space);

  /// The layout of a space that is one choice of `choices`, int64 from 0. 1 <= choices <= 2^20.
  static SpaceLayout OfChoice(Use use, int64_t choices);

  const std::vector<SpaceLeaf>& leaves() const { return leaves_; }
  /// The flat space.
  const BoxSpace& flat() const { return flat_; }
  /// Bytes of a row of leaf `i`.
  size_t row_bytes(size_t i) const;

  /// Columns -> flat rows, [rows, flat().dim()]; columns: one for each leaf. For actions a choice
  /// becomes the scores -1 and 1. INVALID_ARGUMENT for a wrong number or size of columns and for a
  /// choice out of its range; numbers that are not finite pass.
  absl::Status Flatten(std::span<const std::string_view> columns, int64_t rows,
                       std::span<float> flat) const;
  /// Flat rows -> columns, which are resized. Boxes are clipped to their bounds; those of whole
  /// numbers are rounded and kept within their type. INVALID_ARGUMENT for a wrong size, and for a
  /// NaN where a whole number is asked for.
  absl::Status Unflatten(std::span<const float> flat, int64_t rows,
                         std::vector<std::string>& columns) const;

 private:
  SpaceLayout(Use use, std::vector<SpaceLeaf> leaves);

  Use use_;
  std::vector<SpaceLeaf> leaves_;
  BoxSpace flat_;
};

/// Index of the highest score, the first on a tie: the choice that an action's scores mean.
int64_t HighestScore(std::span<const float> scores);

}  // namespace tandem
