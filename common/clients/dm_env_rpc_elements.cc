#include "common/clients/dm_env_rpc_elements.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tandem::clients {
namespace {

using dm_env_rpc::v1::DataType;
using dm_env_rpc::v1::Tensor;
using dm_env_rpc::v1::TensorSpec;

template <typename T>
std::string_view AsBytes(const google::protobuf::RepeatedField<T>& array) {
  return {reinterpret_cast<const char*>(array.data()),
          static_cast<size_t>(array.size()) * sizeof(T)};
}

/// The elements of a Tensor or a TensorSpec::Value as bytes; none where they are of another type.
template <typename Message>
std::optional<std::string_view> ElementsOf(const Message& message, ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      if (message.has_floats()) return AsBytes(message.floats().array());
      break;
    case ElementType::kFloat64:
      if (message.has_doubles()) return AsBytes(message.doubles().array());
      break;
    case ElementType::kInt32:
      if (message.has_int32s()) return AsBytes(message.int32s().array());
      break;
    case ElementType::kInt64:
      if (message.has_int64s()) return AsBytes(message.int64s().array());
      break;
    case ElementType::kInt8:
      if (message.has_int8s()) return message.int8s().array();
      break;
    case ElementType::kUint8:
      if (message.has_uint8s()) return message.uint8s().array();
      break;
  }
  return std::nullopt;
}

template <typename T>
void Fill(std::string_view bytes, google::protobuf::RepeatedField<T>* array) {
  array->Resize(static_cast<int>(bytes.size() / sizeof(T)), T{0});
  std::memcpy(array->mutable_data(), bytes.data(), bytes.size());
}

template <typename Message>
void SetElements(ElementType type, std::string_view bytes, Message* message) {
  switch (type) {
    case ElementType::kFloat32:
      return Fill(bytes, message->mutable_floats()->mutable_array());
    case ElementType::kFloat64:
      return Fill(bytes, message->mutable_doubles()->mutable_array());
    case ElementType::kInt32:
      return Fill(bytes, message->mutable_int32s()->mutable_array());
    case ElementType::kInt64:
      return Fill(bytes, message->mutable_int64s()->mutable_array());
    case ElementType::kInt8:
      message->mutable_int8s()->set_array(bytes.data(), bytes.size());
      return;
    case ElementType::kUint8:
      message->mutable_uint8s()->set_array(bytes.data(), bytes.size());
      return;
  }
}

template <typename T>
void AppendDoubles(std::string_view bytes, std::vector<double>& numbers) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T number;
    std::memcpy(&number, bytes.data() + at, sizeof(T));
    numbers.push_back(static_cast<double>(number));
  }
}

/// Numbers out of the type's range become its last ones.
template <typename T>
std::string Saturated(const std::vector<double>& numbers) {
  using Limits = std::numeric_limits<T>;
  std::string bytes;
  for (const double number : numbers) {
    T fitted = static_cast<T>(0);
    if (number >= static_cast<double>(Limits::max())) {
      fitted = Limits::max();
    } else if (number <= static_cast<double>(Limits::lowest())) {
      fitted = Limits::lowest();
    } else {
      fitted = static_cast<T>(number);
    }
    bytes.append(reinterpret_cast<const char*>(&fitted), sizeof(T));
  }
  return bytes;
}

std::vector<double> AsDoubles(const auto& array) { return {array.begin(), array.end()}; }

/// The elements of a Tensor or a TensorSpec::Value; none where they are of another type.
template <typename Message>
std::optional<std::vector<double>> NumbersOf(const Message& message, DataType type) {
  if (type == dm_env_rpc::v1::UINT32) {
    if (!message.has_uint32s()) return std::nullopt;
    return AsDoubles(message.uint32s().array());
  }
  if (type == dm_env_rpc::v1::UINT64) {
    if (!message.has_uint64s()) return std::nullopt;
    return AsDoubles(message.uint64s().array());
  }
  if constexpr (std::is_same_v<Message, Tensor>) {  // bounds are never booleans
    if (type == dm_env_rpc::v1::BOOL) {
      if (!message.has_bools()) return std::nullopt;
      return AsDoubles(message.bools().array());
    }
  }
  const std::optional<ElementType> element = TypeOf(type);
  if (!element.has_value()) return std::nullopt;
  const auto bytes = ElementsOf(message, *element);
  if (!bytes.has_value()) return std::nullopt;
  return ToDoubles(*element, *bytes);
}

}  // namespace

DataType TypeOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return dm_env_rpc::v1::FLOAT;
    case ElementType::kFloat64:
      return dm_env_rpc::v1::DOUBLE;
    case ElementType::kInt32:
      return dm_env_rpc::v1::INT32;
    case ElementType::kInt64:
      return dm_env_rpc::v1::INT64;
    case ElementType::kInt8:
      return dm_env_rpc::v1::INT8;
    case ElementType::kUint8:
      return dm_env_rpc::v1::UINT8;
  }
  return dm_env_rpc::v1::INVALID_DATA_TYPE;
}

std::optional<ElementType> TypeOf(DataType type) {
  for (const ElementType known : {ElementType::kFloat32, ElementType::kFloat64, ElementType::kInt32,
                                  ElementType::kInt64, ElementType::kInt8, ElementType::kUint8}) {
    if (TypeOf(known) == type) return known;
  }
  return std::nullopt;
}

std::optional<ElementType> CarriedBy(DataType type) {
  switch (type) {
    case dm_env_rpc::v1::BOOL:
      return ElementType::kUint8;
    case dm_env_rpc::v1::UINT32:
      return ElementType::kInt64;
    case dm_env_rpc::v1::UINT64:
      return ElementType::kFloat64;
    default:
      return TypeOf(type);
  }
}

std::optional<std::string_view> BytesOf(const Tensor& tensor, ElementType type) {
  return ElementsOf(tensor, type);
}

void SetBytes(ElementType type, std::string_view bytes, Tensor* tensor) {
  SetElements(type, bytes, tensor);
}

void SetBytes(ElementType type, std::string_view bytes, TensorSpec::Value* bounds) {
  SetElements(type, bytes, bounds);
}

std::vector<double> ToDoubles(ElementType type, std::string_view bytes) {
  std::vector<double> numbers;
  switch (type) {
    case ElementType::kFloat32:
      AppendDoubles<float>(bytes, numbers);
      break;
    case ElementType::kFloat64:
      AppendDoubles<double>(bytes, numbers);
      break;
    case ElementType::kInt32:
      AppendDoubles<int32_t>(bytes, numbers);
      break;
    case ElementType::kInt64:
      AppendDoubles<int64_t>(bytes, numbers);
      break;
    case ElementType::kInt8:
      AppendDoubles<int8_t>(bytes, numbers);
      break;
    case ElementType::kUint8:
      AppendDoubles<uint8_t>(bytes, numbers);
      break;
  }
  return numbers;
}

std::string RowOf(ElementType type, const std::vector<double>& numbers) {
  switch (type) {
    case ElementType::kFloat32:
      return Saturated<float>(numbers);
    case ElementType::kFloat64:
      return Saturated<double>(numbers);
    case ElementType::kInt32:
      return Saturated<int32_t>(numbers);
    case ElementType::kInt64:
      return Saturated<int64_t>(numbers);
    case ElementType::kInt8:
      return Saturated<int8_t>(numbers);
    case ElementType::kUint8:
      return Saturated<uint8_t>(numbers);
  }
  return "";
}

std::optional<std::vector<double>> Numbers(const Tensor& tensor, DataType type) {
  return NumbersOf(tensor, type);
}

std::optional<std::vector<double>> Numbers(const TensorSpec::Value& bounds, DataType type) {
  return NumbersOf(bounds, type);
}

}  // namespace tandem::clients
