#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/env/space_layout.h"
#include "dm_env_rpc/v1/dm_env_rpc.pb.h"

// The elements of dm_env_rpc v1's tensors and bounds, which have a field for each type, as bytes
// (little-endian) and as numbers. What they mean: dm_env_rpc_messages.h.
namespace tandem::clients {

dm_env_rpc::v1::DataType TypeOf(ElementType type);
/// None for a type that leaves lack.
std::optional<ElementType> TypeOf(dm_env_rpc::v1::DataType type);
/// The type of a leaf that carries observations of this one, be it the next wider.
std::optional<ElementType> CarriedBy(dm_env_rpc::v1::DataType type);

/// The elements of a tensor as bytes, which are the tensor's; none where they are of another type.
std::optional<std::string_view> BytesOf(const dm_env_rpc::v1::Tensor& tensor, ElementType type);
/// Bytes of elements of `type` -> the field of this type; other fields are cleared.
void SetBytes(ElementType type, std::string_view bytes, dm_env_rpc::v1::Tensor* tensor);
void SetBytes(ElementType type, std::string_view bytes, dm_env_rpc::v1::TensorSpec::Value* bounds);

/// The elements as doubles; none where there are no numbers of this type.
std::optional<std::vector<double>> Numbers(const dm_env_rpc::v1::Tensor& tensor,
                                           dm_env_rpc::v1::DataType type);
std::optional<std::vector<double>> Numbers(const dm_env_rpc::v1::TensorSpec::Value& bounds,
                                           dm_env_rpc::v1::DataType type);

/// Bytes of elements of `type` -> doubles.
std::vector<double> ToDoubles(ElementType type, std::string_view bytes);
/// Numbers as elements of a type, which they are cut to: out of its range they become its last
/// ones.
std::string RowOf(ElementType type, const std::vector<double>& numbers);

}  // namespace tandem::clients
