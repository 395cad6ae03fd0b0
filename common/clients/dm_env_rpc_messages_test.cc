#include "common/clients/dm_env_rpc_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/clients/dm_env_rpc_settings.h"

namespace tandem::clients {
namespace {

using dm_env_rpc::v1::DataType;
using dm_env_rpc::v1::Tensor;
using dm_env_rpc::v1::TensorSpec;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using Use = SpaceLayout::Use;

TensorSpec Spec(DataType type, std::vector<int> shape) {
  TensorSpec spec;
  spec.set_name("x");
  spec.set_dtype(type);
  spec.mutable_shape()->Assign(shape.begin(), shape.end());
  return spec;
}

TEST(DmEnvRpcMessagesTest, AScalarOfInt64WithBoundsIsAChoiceInAnAction) {
  TensorSpec spec = Spec(dm_env_rpc::v1::INT64, {});
  spec.mutable_min()->mutable_int64s()->add_array(-1);
  spec.mutable_max()->mutable_int64s()->add_array(2);
  const auto choice = Decode(Use::kAction, spec);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->kind, SpaceKind::kDiscrete);
  EXPECT_EQ(choice->start, -1);
  EXPECT_THAT(choice->choices, ElementsAre(4));
  EXPECT_EQ(Decode(Use::kObservation, spec)->kind, SpaceKind::kBox);
  TensorSpec back;
  Encode(*choice, "", &back);
  EXPECT_EQ(back.SerializeAsString(), spec.SerializeAsString());
}

TEST(DmEnvRpcMessagesTest, AWholeScalarWithBoundsIsAChoiceUnlessTheyAreWide) {
  TensorSpec spec = Spec(dm_env_rpc::v1::INT32, {});
  spec.mutable_min()->mutable_int32s()->add_array(0);
  spec.mutable_max()->mutable_int32s()->add_array(3);
  const auto choice = Decode(Use::kAction, spec);
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->kind, SpaceKind::kDiscrete);
  EXPECT_EQ(choice->type, ElementType::kInt32);
  EXPECT_THAT(choice->choices, ElementsAre(4));
  spec.mutable_max()->mutable_int32s()->set_array(0, 1 << 30);
  EXPECT_EQ(Decode(Use::kAction, spec)->kind, SpaceKind::kBox);
  spec = Spec(dm_env_rpc::v1::INT8, {});
  spec.mutable_min()->mutable_int8s()->set_array("\xff");
  spec.mutable_max()->mutable_int8s()->set_array("\x01");
  EXPECT_EQ(Decode(Use::kAction, spec)->start, -1);
  EXPECT_EQ(Decode(Use::kAction, Spec(dm_env_rpc::v1::INT32, {}))->kind, SpaceKind::kBox);
}

TEST(DmEnvRpcMessagesTest, ObservationsOfOtherTypesAreCarriedByWiderOnes) {
  TensorSpec spec = Spec(dm_env_rpc::v1::BOOL, {2});
  const auto flags = Decode(Use::kObservation, spec);
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->type, ElementType::kUint8);
  EXPECT_THAT(flags->low, ElementsAre(0));
  EXPECT_THAT(flags->high, ElementsAre(1));
  Tensor tensor;
  tensor.add_shape(2);
  tensor.mutable_bools()->add_array(true);
  tensor.mutable_bools()->add_array(false);
  std::string row;
  ASSERT_TRUE(Decode(tensor, spec.dtype(), *flags, &row).ok());
  EXPECT_EQ(row, std::string("\1\0", 2));
  tensor.mutable_uint8s()->set_array("\1\1");
  EXPECT_FALSE(Decode(tensor, spec.dtype(), *flags, &row).ok()) << "of another type";

  spec = Spec(dm_env_rpc::v1::UINT64, {});
  spec.mutable_min()->mutable_uint64s()->add_array(0);
  spec.mutable_max()->mutable_uint64s()->add_array(uint64_t{1} << 63);
  const auto wide = Decode(Use::kObservation, spec);
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_THAT(wide->high, ElementsAre(0x1p63));
  Tensor number;
  number.mutable_uint64s()->add_array(uint64_t{1} << 63);
  row.clear();
  ASSERT_TRUE(Decode(number, spec.dtype(), *wide, &row).ok());
  EXPECT_TRUE(CheckBounds(*wide, row).ok());
  EXPECT_EQ(Decode(Use::kObservation, Spec(dm_env_rpc::v1::UINT32, {}))->type, ElementType::kInt64);
}

TEST(DmEnvRpcMessagesTest, WhatCannotBeCarriedIsRefused) {
  for (const DataType type :
       {dm_env_rpc::v1::STRING, dm_env_rpc::v1::BOOL, dm_env_rpc::v1::UINT64}) {
    EXPECT_THAT(Decode(Use::kAction, Spec(type, {})).status().ToString(),
                EndsWith("expected FLOAT, DOUBLE, INT8, INT32, INT64 or UINT8"));
  }
  EXPECT_THAT(
      Decode(Use::kObservation, Spec(dm_env_rpc::v1::STRING, {})).status().ToString(),
      EndsWith("expected FLOAT, DOUBLE, INT8, INT32, INT64, UINT8, BOOL, UINT32 or UINT64"));
  EXPECT_FALSE(Decode(Use::kAction, Spec(dm_env_rpc::v1::FLOAT, {2, -1})).ok());
  TensorSpec spec = Spec(dm_env_rpc::v1::FLOAT, {3});
  spec.mutable_min()->mutable_doubles()->add_array(0);
  EXPECT_FALSE(Decode(Use::kAction, spec).ok()) << "bounds of another type";
  spec.mutable_min()->mutable_floats()->add_array(0);
  spec.mutable_min()->mutable_floats()->add_array(0);
  EXPECT_FALSE(Decode(Use::kAction, spec).ok()) << "two bounds of three";
}

TEST(DmEnvRpcMessagesTest, ShapesAreInferredAndNumbersRepeated) {
  SpaceLeaf leaf;
  leaf.shape = {2, 3};
  std::string row;
  Tensor tensor;
  for (int i = 0; i < 6; ++i) tensor.mutable_floats()->add_array(static_cast<float>(i));
  tensor.add_shape(2);
  tensor.add_shape(-1);
  EXPECT_TRUE(Decode(tensor, leaf, &row).ok());
  EXPECT_EQ(row.size(), 24u);
  tensor.set_shape(0, -1);
  EXPECT_FALSE(Decode(tensor, leaf, &row).ok()) << "two sizes to be inferred";
  tensor.set_shape(0, 3);
  tensor.set_shape(1, 2);
  EXPECT_FALSE(Decode(tensor, leaf, &row).ok()) << "transposed";
  Tensor one;
  one.mutable_floats()->add_array(7);
  one.add_shape(2);
  one.add_shape(3);
  row.clear();
  ASSERT_TRUE(Decode(one, leaf, &row).ok());
  Tensor all;
  Encode(leaf, row, &all);
  EXPECT_THAT(all.floats().array(), testing::Each(7.0f));
  EXPECT_EQ(all.floats().array_size(), 6);
}

TEST(DmEnvRpcMessagesTest, SettingsComeFromJson) {
  const auto settings = SettingsFromJson(
      R"({"level": 3, "gravity": 9.5, "map": "cave", "flat": true, "sizes": [1, 2]})");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->at("level").int64s().array(0), 3);
  EXPECT_EQ(settings->at("gravity").doubles().array(0), 9.5);
  EXPECT_EQ(settings->at("map").strings().array(0), "cave");
  EXPECT_TRUE(settings->at("flat").bools().array(0));
  EXPECT_THAT(settings->at("sizes").shape(), ElementsAre(2));
  EXPECT_FALSE(SettingsFromJson(R"({"a": {"b": 1}})").ok());
  EXPECT_FALSE(SettingsFromJson("[1]").ok());
}

}  // namespace
}  // namespace tandem::clients
