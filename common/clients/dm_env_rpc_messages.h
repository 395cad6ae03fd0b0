#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/env/space_layout.h"
#include "dm_env_rpc/v1/dm_env_rpc.pb.h"

// Between the messages of dm_env_rpc v1 and ours; for its client and its server.
namespace tandem::clients {

/// A spec -> a leaf. A whole scalar between bounds (2^20 values at most) in an action is a choice;
/// everything else is a box. Types of observations that a leaf lacks become the next wider one
/// (BOOL: UINT8 from 0 to 1; UINT32: INT64; UINT64: DOUBLE). A bound that is the type's last
/// number, or none, is infinite. INVALID_ARGUMENT, naming the spec, for element types that have no
/// place in a leaf, for sizes that vary, and for bounds of another type or number than the spec
/// says.
absl::StatusOr<SpaceLeaf> Decode(SpaceLayout::Use use, const dm_env_rpc::v1::TensorSpec& spec);
/// unnamed: name of a leaf without one.
void Encode(const SpaceLeaf& leaf, std::string_view unnamed, dm_env_rpc::v1::TensorSpec* spec);

/// A tensor -> the bytes of one row of `leaf`, appended. One element is repeated; one size may be
/// inferred. INVALID_ARGUMENT for another element type or shape than the leaf's.
absl::Status Decode(const dm_env_rpc::v1::Tensor& tensor, const SpaceLeaf& leaf, std::string* row);
/// The same for a leaf of a spec whose elements are of `type`, which may be narrower than the
/// leaf's.
absl::Status Decode(const dm_env_rpc::v1::Tensor& tensor, dm_env_rpc::v1::DataType type,
                    const SpaceLeaf& leaf, std::string* row);
/// row: row_bytes of the leaf.
void Encode(const SpaceLeaf& leaf, std::string_view row, dm_env_rpc::v1::Tensor* tensor);

/// INVALID_ARGUMENT for a number of a row that is out of the leaf's bounds or choices, or NaN.
absl::Status CheckBounds(const SpaceLeaf& leaf, std::string_view row);

/// The least and the largest numbers of a leaf, one for all elements or one for each.
std::pair<std::vector<double>, std::vector<double>> BoundsOf(const SpaceLeaf& leaf);

/// One number among the observations, such as the reward.
struct DmEnvRpcNumber {
  uint64_t id = 0;
  SpaceLeaf leaf;
  dm_env_rpc::v1::DataType type = dm_env_rpc::v1::FLOAT;  ///< Of its tensors.
  bool operator==(const DmEnvRpcNumber&) const = default;
};

/// What an agent sees and does.
struct DmEnvRpcSpecs {
  SpaceLayout observation;  ///< Without reward and discount; leaves in the order of their ids.
  SpaceLayout action;
  std::vector<uint64_t> observation_ids;                    ///< Of the leaves.
  std::vector<dm_env_rpc::v1::DataType> observation_types;  ///< Of their tensors.
  std::vector<uint64_t> action_ids;
  DmEnvRpcNumber reward;
  std::optional<DmEnvRpcNumber> discount;

  bool SameAs(const DmEnvRpcSpecs& other) const;
};

/// Observations of text and of messages are left out; `left_out` gets their names. INVALID_ARGUMENT
/// for any other spec that cannot be carried, and where there is no reward.
absl::StatusOr<DmEnvRpcSpecs> Decode(const dm_env_rpc::v1::ActionObservationSpecs& specs,
                                     std::vector<std::string>* left_out);

}  // namespace tandem::clients
