#include "common/clients/dm_env_rpc_messages.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/clients/dm_env_rpc_elements.h"

namespace tandem::clients {
namespace {

using dm_env_rpc::v1::DataType;
using dm_env_rpc::v1::Tensor;
using dm_env_rpc::v1::TensorSpec;

/// A whole number of more values than that is a number, and no choice.
constexpr double kMaxChoices = 1 << 20;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename... Parts>
absl::Status Refuse(const std::string& name, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("\"", name, "\": ", parts...));
}

std::string Shape(const auto& sizes) { return absl::StrCat("[", absl::StrJoin(sizes, ", "), "]"); }

/// The last numbers of floating-point types stand for no bound.
double Widened(ElementType type, double bound) {
  const double last = type == ElementType::kFloat32   ? std::numeric_limits<float>::max()
                      : type == ElementType::kFloat64 ? std::numeric_limits<double>::max()
                                                      : kInfinity;
  return std::abs(bound) < last ? bound : std::copysign(kInfinity, bound);
}

/// One bound for each element of the leaf, or one for all.
absl::StatusOr<std::vector<double>> Bounds(const SpaceLeaf& leaf, DataType type,
                                           const TensorSpec::Value& value, double none) {
  if (value.payload_case() == TensorSpec::Value::PAYLOAD_NOT_SET) return std::vector<double>{none};
  std::optional<std::vector<double>> given = Numbers(value, type);
  if (!given.has_value()) return Refuse(leaf.name, "expected bounds of the type of its elements");
  std::vector<double> bounds = *std::move(given);
  for (double& bound : bounds) bound = Widened(leaf.type, bound);
  if (bounds.size() == 1 || bounds.size() == static_cast<size_t>(leaf.elements())) return bounds;
  return Refuse(leaf.name, "expected 1 or ", leaf.elements(), " bounds, got ", bounds.size());
}

bool AnyFinite(const std::vector<double>& bounds) {
  return std::any_of(bounds.begin(), bounds.end(),
                     [](double bound) { return std::isfinite(bound); });
}

/// Whether `shape`, of which one size may be inferred, is the leaf's for a tensor of `count`.
absl::Status CheckShape(const SpaceLeaf& leaf, const Tensor& tensor, int64_t count) {
  const auto refuse = [&] {
    return Refuse(leaf.name, "expected the shape ", Shape(leaf.shape), ", got ",
                  Shape(tensor.shape()), " with ", count, " elements");
  };
  if (static_cast<size_t>(tensor.shape_size()) != leaf.shape.size()) return refuse();
  int64_t known = 1;
  int inferred = 0;
  for (const int size : tensor.shape()) {
    if (size < 0) ++inferred;
    known *= std::max(size, 1);
  }
  if (inferred > 1) return refuse();
  for (int i = 0; i < tensor.shape_size(); ++i) {
    const int64_t size =
        tensor.shape(i) >= 0 ? tensor.shape(i) : std::max<int64_t>(count / known, 1);
    if (size != leaf.shape[static_cast<size_t>(i)]) return refuse();
  }
  return count == 1 || count == leaf.elements() ? absl::OkStatus() : refuse();
}

/// In the order of their ids.
template <typename Specs>
std::map<uint64_t, const TensorSpec*> Sorted(const Specs& specs) {
  std::map<uint64_t, const TensorSpec*> sorted;
  for (const auto& [id, spec] : specs) sorted[id] = &spec;
  return sorted;
}

}  // namespace

std::pair<std::vector<double>, std::vector<double>> BoundsOf(const SpaceLeaf& leaf) {
  switch (leaf.kind) {
    case SpaceKind::kBox:
      return {leaf.low, leaf.high};
    case SpaceKind::kMultiBinary:
      return {{0}, {1}};
    case SpaceKind::kDiscrete:
    case SpaceKind::kMultiDiscrete:
      break;
  }
  const int64_t start = leaf.kind == SpaceKind::kDiscrete ? leaf.start : 0;
  std::vector<double> last;
  for (const int64_t choices : leaf.choices)
    last.push_back(static_cast<double>(start + choices - 1));
  return {{static_cast<double>(start)}, last};
}

absl::StatusOr<SpaceLeaf> Decode(SpaceLayout::Use use, const TensorSpec& spec) {
  SpaceLeaf leaf;
  leaf.name = spec.name();
  const bool action = use == SpaceLayout::Use::kAction;
  const std::optional<ElementType> type = action ? TypeOf(spec.dtype()) : CarriedBy(spec.dtype());
  if (!type.has_value()) {
    return Refuse(spec.name(), "elements of type ", DataType_Name(spec.dtype()),
                  " cannot be carried; expected FLOAT, DOUBLE, INT8, INT32, INT64",
                  action ? " or UINT8" : ", UINT8, BOOL, UINT32 or UINT64");
  }
  leaf.type = *type;
  for (const int size : spec.shape()) {
    if (size < 1) {
      return Refuse(spec.name(), "expected a shape of fixed sizes, got ", Shape(spec.shape()));
    }
    leaf.shape.push_back(size);
  }
  const bool boolean = spec.dtype() == dm_env_rpc::v1::BOOL;
  TANDEM_ASSIGN_OR_RETURN(leaf.low,
                          Bounds(leaf, spec.dtype(), spec.min(), boolean ? 0 : -kInfinity));
  TANDEM_ASSIGN_OR_RETURN(leaf.high,
                          Bounds(leaf, spec.dtype(), spec.max(), boolean ? 1 : kInfinity));
  const size_t bounds = std::max(leaf.low.size(), leaf.high.size());
  if (leaf.low.size() != bounds) leaf.low.resize(bounds, leaf.low[0]);
  if (leaf.high.size() != bounds) leaf.high.resize(bounds, leaf.high[0]);
  if (action && IsInteger(leaf.type) && leaf.shape.empty() && leaf.low[0] <= leaf.high[0] &&
      std::abs(leaf.low[0]) < 0x1p53 && leaf.high[0] - leaf.low[0] < kMaxChoices) {
    leaf.kind = SpaceKind::kDiscrete;
    leaf.start = static_cast<int64_t>(leaf.low[0]);
    leaf.choices = {static_cast<int64_t>(leaf.high[0]) - leaf.start + 1};
    leaf.low.clear();
    leaf.high.clear();
  }
  return leaf;
}

void Encode(const SpaceLeaf& leaf, std::string_view unnamed, TensorSpec* spec) {
  spec->set_name(leaf.name.empty() ? std::string(unnamed) : leaf.name);
  for (const int64_t size : leaf.shape) spec->add_shape(static_cast<int32_t>(size));
  spec->set_dtype(TypeOf(leaf.type));
  const auto [low, high] = BoundsOf(leaf);
  if (AnyFinite(low)) SetBytes(leaf.type, RowOf(leaf.type, low), spec->mutable_min());
  if (AnyFinite(high)) SetBytes(leaf.type, RowOf(leaf.type, high), spec->mutable_max());
}

absl::Status Decode(const Tensor& tensor, DataType type, const SpaceLeaf& leaf, std::string* row) {
  std::optional<std::string_view> bytes;
  std::string widened;
  if (type == TypeOf(leaf.type)) {
    bytes = BytesOf(tensor, leaf.type);
  } else if (const auto numbers = Numbers(tensor, type); numbers.has_value()) {
    widened = RowOf(leaf.type, *numbers);
    bytes = widened;
  }
  if (!bytes.has_value()) {
    return Refuse(leaf.name, "expected elements of type ", DataType_Name(type), ", got others");
  }
  const int64_t count = static_cast<int64_t>(bytes->size() / SizeOf(leaf.type));
  TANDEM_RETURN_IF_ERROR(CheckShape(leaf, tensor, count));
  const int64_t copies = count == 1 ? leaf.elements() : 1;
  for (int64_t i = 0; i < copies; ++i) row->append(*bytes);
  return absl::OkStatus();
}

absl::Status Decode(const Tensor& tensor, const SpaceLeaf& leaf, std::string* row) {
  return Decode(tensor, TypeOf(leaf.type), leaf, row);
}

void Encode(const SpaceLeaf& leaf, std::string_view row, Tensor* tensor) {
  tensor->clear_shape();
  for (const int64_t size : leaf.shape) tensor->add_shape(static_cast<int32_t>(size));
  SetBytes(leaf.type, row, tensor);
}

absl::Status CheckBounds(const SpaceLeaf& leaf, std::string_view row) {
  const auto [low, high] = BoundsOf(leaf);
  const std::vector<double> numbers = ToDoubles(leaf.type, row);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double least = low[low.size() == 1 ? 0 : i], most = high[high.size() == 1 ? 0 : i];
    if (numbers[i] >= least && numbers[i] <= most) continue;
    return Refuse(leaf.name, "expected ", least, " to ", most, " in element ", i, ", got ",
                  numbers[i]);
  }
  return absl::OkStatus();
}

bool DmEnvRpcSpecs::SameAs(const DmEnvRpcSpecs& other) const {
  return observation.leaves() == other.observation.leaves() &&
         action.leaves() == other.action.leaves() && observation_ids == other.observation_ids &&
         observation_types == other.observation_types && action_ids == other.action_ids &&
         reward == other.reward && discount == other.discount;
}

absl::StatusOr<DmEnvRpcSpecs> Decode(const dm_env_rpc::v1::ActionObservationSpecs& specs,
                                     std::vector<std::string>* left_out) {
  std::vector<SpaceLeaf> observation, action;
  std::vector<uint64_t> observation_ids, action_ids;
  std::vector<DataType> observation_types;
  std::optional<DmEnvRpcNumber> reward, discount;
  for (const auto& [id, spec] : Sorted(specs.observations())) {
    if (spec->dtype() == dm_env_rpc::v1::STRING || spec->dtype() == dm_env_rpc::v1::PROTO) {
      left_out->push_back(spec->name());
      continue;
    }
    TANDEM_ASSIGN_OR_RETURN(SpaceLeaf leaf, Decode(SpaceLayout::Use::kObservation, *spec));
    if (spec->name() == "reward" || spec->name() == "discount") {
      if (leaf.elements() != 1) return Refuse(spec->name(), "expected one number");
      (spec->name() == "reward" ? reward : discount) =
          DmEnvRpcNumber{id, std::move(leaf), spec->dtype()};
      continue;
    }
    observation_ids.push_back(id);
    observation_types.push_back(spec->dtype());
    observation.push_back(std::move(leaf));
  }
  for (const auto& [id, spec] : Sorted(specs.actions())) {
    TANDEM_ASSIGN_OR_RETURN(SpaceLeaf leaf, Decode(SpaceLayout::Use::kAction, *spec));
    action_ids.push_back(id);
    action.push_back(std::move(leaf));
  }
  if (!reward.has_value())
    return Refuse("reward", "expected an observation of this name, got none");
  TANDEM_ASSIGN_OR_RETURN(
      SpaceLayout observations,
      SpaceLayout::Create(SpaceLayout::Use::kObservation, std::move(observation)));
  TANDEM_ASSIGN_OR_RETURN(SpaceLayout actions,
                          SpaceLayout::Create(SpaceLayout::Use::kAction, std::move(action)));
  return DmEnvRpcSpecs{std::move(observations),    std::move(actions),
                       std::move(observation_ids), std::move(observation_types),
                       std::move(action_ids),      *std::move(reward),
                       std::move(discount)};
}

}  // namespace tandem::clients
