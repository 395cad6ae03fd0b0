#include "common/codec/tensor_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

namespace tandem::codec {
namespace {

using data::v1::Tensor;
using testing::HasSubstr;

Tensor Floats(std::vector<float> values, std::initializer_list<int64_t> shape) {
  Tensor tensor;
  WriteTensor(values.data(), shape, &tensor);
  return tensor;
}

std::string Complaint(const Tensor& tensor, std::initializer_list<int64_t> expected) {
  std::vector<float> out;
  const absl::Status status = ReadTensor(tensor, "rewards", expected, &out);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(out.empty());
  return std::string(status.message());
}

TEST(TensorCodecTest, TravelsBitForBit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor tensor = Floats({1, -0.0f, nan, std::numeric_limits<float>::infinity()}, {2, 2});
  std::vector<float> out;
  ASSERT_TRUE(ReadTensor(tensor, "x", {kAnySize, 2}, &out).ok());
  EXPECT_EQ(out[0], 1);
  EXPECT_TRUE(std::signbit(out[1]));
  EXPECT_TRUE(std::isnan(out[2])) << "whether numbers are finite is the business of Validate";
  EXPECT_TRUE(std::isinf(out[3]));
}

TEST(TensorCodecTest, EmptyAndScalar) {
  std::vector<float> out;
  EXPECT_TRUE(ReadTensor(Floats({}, {0, 3}), "x", {kAnySize, 3}, &out).ok());
  EXPECT_TRUE(out.empty());
  EXPECT_TRUE(ReadTensor(Floats({4}, {}), "x", {}, &out).ok());
  EXPECT_EQ(out, std::vector<float>{4});
}

TEST(TensorCodecTest, NamesFieldExpectedAndGot) {
  Tensor dtype = Floats({1, 2}, {2});
  dtype.set_dtype(data::v1::DTYPE_UINT8);
  EXPECT_EQ(Complaint(dtype, {2}), "rewards: expected float32 [2], got uint8 [2]");
  dtype.set_dtype(data::v1::DTYPE_UNSPECIFIED);
  EXPECT_EQ(Complaint(dtype, {2}), "rewards: expected float32 [2], got dtype 0 [2]");
  EXPECT_EQ(Complaint(Floats({1, 2}, {2}), {kAnySize, 3}),
            "rewards: expected float32 [any, 3], got float32 [2]");
  EXPECT_EQ(Complaint(Floats({1, 2}, {2}), {3}), "rewards: expected float32 [3], got float32 [2]");
  Tensor bytes = Floats({1, 2}, {2});
  bytes.mutable_data()->resize(7);
  EXPECT_EQ(Complaint(bytes, {2}), "rewards: expected 8 bytes, got 7");
}

TEST(TensorCodecTest, RefusesNegativeAndHugeShapes) {
  Tensor tensor = Floats({1, 2}, {2});
  tensor.set_shape(0, -2);
  EXPECT_THAT(Complaint(tensor, {kAnySize}), HasSubstr("negative size -2"));
  tensor.clear_shape();
  for (int i = 0; i < 2; ++i) tensor.add_shape(-1);  // their product is 1
  EXPECT_THAT(Complaint(tensor, {kAnySize, kAnySize}), HasSubstr("negative size"));
  tensor.clear_shape();
  for (int i = 0; i < 4; ++i) tensor.add_shape(int64_t{1} << 16);  // 2^64 elements: overflows to 0
  tensor.clear_data();
  EXPECT_THAT(Complaint(tensor, {kAnySize, kAnySize, kAnySize, kAnySize}),
              HasSubstr("fits in memory"));
  tensor.clear_shape();
  tensor.add_shape(std::numeric_limits<int64_t>::max() / 4);
  EXPECT_THAT(Complaint(tensor, {kAnySize}), HasSubstr("bytes, got 0"));
  tensor.clear_shape();
  for (int i = 0; i < 10'000; ++i) tensor.add_shape(1);
  EXPECT_LT(Complaint(tensor, {1}).size(), 200u);
}

TEST(TensorCodecTest, NothingThatComesInBreaksIt) {
  EXPECT_TRUE(rc::check([](int dtype, std::vector<int64_t> shape, std::string data) {
    Tensor tensor;
    tensor.set_dtype(static_cast<data::v1::DType>(dtype % 5));
    for (const int64_t size : shape) tensor.add_shape(size % 5);
    tensor.set_data(data);
    std::vector<float> out;
    if (ReadTensor(tensor, "x", {kAnySize, kAnySize}, &out).ok()) {
      RC_ASSERT(static_cast<int64_t>(out.size()) == tensor.shape(0) * tensor.shape(1));
    }
  }));
}

}  // namespace
}  // namespace tandem::codec
