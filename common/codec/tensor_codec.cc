#include "common/codec/tensor_codec.h"

#include <bit>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tandem::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian");

using data::v1::DType;

/// 0 for a type that is not valid on the wire.
int64_t ElementSize(DType dtype) {
  switch (dtype) {
    case data::v1::DTYPE_FLOAT32:
      return 4;
    case data::v1::DTYPE_INT64:
      return 8;
    case data::v1::DTYPE_UINT8:
      return 1;
    default:
      return 0;
  }
}

std::string Name(DType dtype) {
  switch (dtype) {
    case data::v1::DTYPE_FLOAT32:
      return "float32";
    case data::v1::DTYPE_INT64:
      return "int64";
    case data::v1::DTYPE_UINT8:
      return "uint8";
    default:
      return absl::StrCat("dtype ", static_cast<int>(dtype));
  }
}

template <typename Shape>
std::string Describe(DType dtype, const Shape& shape) {
  // A hostile shape may have any number of dimensions: show the first few.
  std::vector<std::string> sizes;
  for (const int64_t size : shape) {
    if (sizes.size() == 8) {
      sizes.push_back("...");
      break;
    }
    sizes.push_back(size == kAnySize ? "any" : absl::StrCat(size));
  }
  return absl::StrCat(Name(dtype), " [", absl::StrJoin(sizes, ", "), "]");
}

bool Matches(const data::v1::Tensor& tensor, std::span<const int64_t> expected) {
  if (tensor.shape_size() != static_cast<int>(expected.size())) return false;
  for (size_t i = 0; i < expected.size(); ++i) {
    const int64_t size = tensor.shape(static_cast<int>(i));
    if (size < 0 || (expected[i] != kAnySize && size != expected[i])) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckTensor(const data::v1::Tensor& tensor, std::string_view field, DType dtype,
                         std::span<const int64_t> expected_shape) {
  const absl::string_view name(field.data(), field.size());
  if (tensor.dtype() != dtype || !Matches(tensor, expected_shape)) {
    std::vector<int64_t> got(tensor.shape().begin(), tensor.shape().end());
    std::string shape = Describe(tensor.dtype(), got);
    for (const int64_t size : got) {
      if (size < 0) shape = absl::StrCat(shape, " with negative size ", size);
    }
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": expected ", Describe(dtype, expected_shape), ", got ", shape));
  }
  int64_t bytes = ElementSize(dtype);
  for (const int64_t size : tensor.shape()) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": expected an array that fits in memory, got ",
          Describe(dtype, std::vector<int64_t>(tensor.shape().begin(), tensor.shape().end()))));
    }
  }
  if (static_cast<uint64_t>(bytes) != tensor.data().size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": expected ", bytes, " bytes, got ", tensor.data().size()));
  }
  return absl::OkStatus();
}

}  // namespace tandem::codec
