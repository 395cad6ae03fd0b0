#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tandem/data/v1/data.pb.h"

namespace tandem::codec {

/// The element type of T on the wire.
template <typename T>
constexpr data::v1::DType DTypeOf();
template <>
constexpr data::v1::DType DTypeOf<float>() {
  return data::v1::DTYPE_FLOAT32;
}
template <>
constexpr data::v1::DType DTypeOf<int64_t>() {
  return data::v1::DTYPE_INT64;
}
template <>
constexpr data::v1::DType DTypeOf<uint8_t>() {
  return data::v1::DTYPE_UINT8;
}

/// In an expected shape: any size, 0 included.
inline constexpr int64_t kAnySize = -1;

/// Checks type, shape and length in bytes of a tensor that came from outside, with arithmetic that
/// cannot overflow. INVALID_ARGUMENT names `field`, what was expected and what came.
absl::Status CheckTensor(const data::v1::Tensor& tensor, std::string_view field,
                         data::v1::DType dtype, std::span<const int64_t> expected_shape);

/// Copies the elements of a tensor that passes CheckTensor. Allocates only what came.
template <typename T>
absl::Status ReadTensor(const data::v1::Tensor& tensor, std::string_view field,
                        std::initializer_list<int64_t> expected_shape, std::vector<T>* out) {
  absl::Status status =
      CheckTensor(tensor, field, DTypeOf<T>(), {expected_shape.begin(), expected_shape.size()});
  if (!status.ok()) return status;
  out->resize(tensor.data().size() / sizeof(T));
  if (!out->empty()) std::memcpy(out->data(), tensor.data().data(), tensor.data().size());
  return status;
}

/// Writes a dense array; `data` holds the product of `shape` elements.
template <typename T>
void WriteTensor(const T* data, std::initializer_list<int64_t> shape, data::v1::Tensor* out) {
  out->set_dtype(DTypeOf<T>());
  size_t elements = 1;
  for (const int64_t size : shape) {
    out->add_shape(size);
    elements *= static_cast<size_t>(size);
  }
  out->mutable_data()->assign(reinterpret_cast<const char*>(data), elements * sizeof(T));
}

}  // namespace tandem::codec
