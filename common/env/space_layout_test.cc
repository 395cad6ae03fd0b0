#include "common/env/space_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {
namespace {

using testing::ElementsAre;
using Use = SpaceLayout::Use;

constexpr ElementType kTypes[] = {ElementType::kFloat32, ElementType::kFloat64,
                                  ElementType::kInt32,   ElementType::kInt64,
                                  ElementType::kInt8,    ElementType::kUint8};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
std::string BytesOf(const std::vector<double>& numbers) {
  std::string bytes;
  for (const double number : numbers) {
    const T typed = static_cast<T>(number);
    bytes.append(reinterpret_cast<const char*>(&typed), sizeof(T));
  }
  return bytes;
}

std::string Column(ElementType type, const std::vector<double>& numbers) {
  switch (type) {
    case ElementType::kFloat32:
      return BytesOf<float>(numbers);
    case ElementType::kFloat64:
      return BytesOf<double>(numbers);
    case ElementType::kInt32:
      return BytesOf<int32_t>(numbers);
    case ElementType::kInt64:
      return BytesOf<int64_t>(numbers);
    case ElementType::kInt8:
      return BytesOf<int8_t>(numbers);
    case ElementType::kUint8:
      return BytesOf<uint8_t>(numbers);
  }
  return "";
}

SpaceLeaf Box(ElementType type, std::vector<int64_t> shape, double low, double high) {
  return {.type = type, .shape = std::move(shape), .low = {low}, .high = {high}};
}

SpaceLeaf Discrete(int64_t choices, int64_t start = 0, ElementType type = ElementType::kInt64) {
  return {.kind = SpaceKind::kDiscrete, .type = type, .choices = {choices}, .start = start};
}

SpaceLeaf MultiDiscrete(std::vector<int64_t> choices) {
  SpaceLeaf leaf{.kind = SpaceKind::kMultiDiscrete, .type = ElementType::kInt64};
  leaf.shape = {static_cast<int64_t>(choices.size())};
  leaf.choices = std::move(choices);
  return leaf;
}

SpaceLeaf MultiBinary(int64_t n) {
  return {.kind = SpaceKind::kMultiBinary, .type = ElementType::kInt8, .shape = {n}};
}

std::vector<float> Flat(const SpaceLayout& layout, const std::vector<std::string>& columns,
                        int64_t rows) {
  std::vector<float> flat(static_cast<size_t>(rows * layout.flat().dim()));
  const std::vector<std::string_view> views(columns.begin(), columns.end());
  EXPECT_EQ(layout.Flatten(views, rows, flat), absl::OkStatus());
  return flat;
}

std::vector<std::string> Unflat(const SpaceLayout& layout, const std::vector<float>& flat,
                                int64_t rows) {
  std::vector<std::string> columns;
  EXPECT_EQ(layout.Unflatten(flat, rows, columns), absl::OkStatus());
  return columns;
}

TEST(SpaceLayout, EveryTypeGoesRoundInBothUses) {
  for (const Use use : {Use::kObservation, Use::kAction}) {
    for (const ElementType type : kTypes) {
      const auto layout = *SpaceLayout::Create(use, {Box(type, {3}, 0, 100)});
      const std::vector<std::string> columns = {Column(type, {0, 7, 100, 1, 2, 3})};
      EXPECT_EQ(layout.row_bytes(0), 3 * SizeOf(type));
      const std::vector<float> flat = Flat(layout, columns, 2);
      EXPECT_THAT(flat, ElementsAre(0, 7, 100, 1, 2, 3));
      EXPECT_EQ(Unflat(layout, flat, 2), columns);
    }
  }
}

TEST(SpaceLayout, LeavesStandOneAfterAnother) {
  SpaceLeaf position = Box(ElementType::kFloat64, {2}, -kInfinity, kInfinity);
  position.name = "robot.position";
  SpaceLeaf button = Discrete(3, /*start=*/-1);
  button.name = "button";
  SpaceLeaf lamps = MultiBinary(2);
  lamps.name = "lamps";
  const auto layout = *SpaceLayout::Create(Use::kObservation, {position, button, lamps});
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(layout.flat().low, ElementsAre(-inf, -inf, 0, 0, 0, 0, 0));
  EXPECT_THAT(layout.flat().high, ElementsAre(inf, inf, 1, 1, 1, 1, 1));
  EXPECT_EQ(layout.leaves(), (std::vector<SpaceLeaf>{position, button, lamps}));
  const std::vector<std::string> columns = {Column(ElementType::kFloat64, {1.5, -2, 3, 4}),
                                            Column(ElementType::kInt64, {-1, 1}),
                                            Column(ElementType::kInt8, {0, 1, 1, 1})};
  const std::vector<float> flat = Flat(layout, columns, 2);
  EXPECT_THAT(flat, ElementsAre(1.5, -2, 1, 0, 0, 0, 1, 3, 4, 0, 0, 1, 1, 1));
  EXPECT_EQ(Unflat(layout, flat, 2), columns);
}

TEST(SpaceLayout, ActionsAreScores) {
  const auto layout = *SpaceLayout::Create(Use::kAction, {Discrete(3, /*start=*/5), [] {
                                                            SpaceLeaf leaf = MultiDiscrete({2, 3});
                                                            leaf.name = "hands";
                                                            return leaf;
                                                          }()});
  EXPECT_EQ(layout.flat().low, std::vector<float>(8, -1));
  EXPECT_EQ(layout.flat().high, std::vector<float>(8, 1));
  const std::vector<std::string> columns =
      Unflat(layout, {-0.5f, 0.25f, 0.2f, /**/ 0.1f, 0.1f, /**/ -1, -0.9f, -0.9f}, /*rows=*/1);
  EXPECT_EQ(columns[0], Column(ElementType::kInt64, {6}));
  EXPECT_EQ(columns[1], Column(ElementType::kInt64, {0, 1}));  // the first on a tie
  EXPECT_THAT(Flat(layout, columns, 1), ElementsAre(-1, 1, -1, 1, -1, -1, 1, -1));
}

TEST(SpaceLayout, ABinaryActionIsOneAboveZero) {
  const auto layout = *SpaceLayout::Create(Use::kAction, {MultiBinary(4)});
  const std::vector<std::string> columns = Unflat(layout, {-1, 0, 0.01f, 1}, 1);
  EXPECT_EQ(columns[0], Column(ElementType::kInt8, {0, 0, 1, 1}));
  EXPECT_THAT(Flat(layout, columns, 1), ElementsAre(-1, -1, 1, 1));
}

TEST(SpaceLayout, BoxesAreClippedAndRoundedAndKeptInTheirType) {
  const auto steer = *SpaceLayout::Create(Use::kAction, {Box(ElementType::kFloat64, {}, -2, 3)});
  EXPECT_EQ(Unflat(steer, {-9, 2.5f, 9}, 3)[0], Column(ElementType::kFloat64, {-2, 2.5, 3}));
  SpaceLeaf two = Box(ElementType::kInt32, {2}, 0, 0);
  two.low = {-1, 10};
  two.high = {1, 20};
  const auto counts = *SpaceLayout::Create(Use::kAction, {two});
  EXPECT_THAT(counts.flat().low, ElementsAre(-1, 10));
  EXPECT_EQ(Unflat(counts, {0.6f, 14.4f, -7, 99}, 2)[0],
            Column(ElementType::kInt32, {1, 14, -1, 20}));
  for (const ElementType type :
       {ElementType::kInt8, ElementType::kUint8, ElementType::kInt32, ElementType::kInt64}) {
    const auto wide =
        *SpaceLayout::Create(Use::kObservation, {Box(type, {}, -kInfinity, kInfinity)});
    const std::vector<float> flat = Flat(wide, Unflat(wide, {-1e30f, 1e30f}, 2), 2);
    EXPECT_EQ(flat[0], type == ElementType::kUint8   ? 0
                       : type == ElementType::kInt8  ? -128
                       : type == ElementType::kInt32 ? -0x1p31f
                                                     : -0x1p63f);
    EXPECT_GE(flat[1], 127);
  }
}

TEST(SpaceLayout, NumbersThatAreNotFinitePassWhereTheTypeHoldsThem) {
  const auto layout = *SpaceLayout::Create(
      Use::kObservation, {Box(ElementType::kFloat64, {2}, -kInfinity, kInfinity)});
  const std::vector<float> flat =
      Flat(layout, {Column(ElementType::kFloat64, {kInfinity, kNan})}, 1);
  EXPECT_EQ(flat[0], kInfinity);
  EXPECT_TRUE(std::isnan(flat[1]));
  const auto whole = *SpaceLayout::Create(Use::kAction, {Box(ElementType::kInt32, {2}, 0, 9)});
  std::vector<std::string> columns;
  EXPECT_EQ(whole.Unflatten(std::vector<float>{1, kNan}, 1, columns).message(),
            "space: expected a number in element 1, got nan");
}

TEST(SpaceLayout, OfABoxIsOneArray) {
  const SpaceLayout layout = SpaceLayout::Of(Use::kObservation, {{-1, -3}, {1, 3}});
  EXPECT_EQ(layout.flat(), (BoxSpace{{-1, -3}, {1, 3}}));
  EXPECT_EQ(layout.leaves().size(), 1);
  EXPECT_EQ(layout.leaves()[0].shape, std::vector<int64_t>{2});
  const std::vector<std::string> columns = {Column(ElementType::kFloat32, {0.5, -2})};
  EXPECT_EQ(Unflat(layout, Flat(layout, columns, 1), 1), columns);
}

TEST(SpaceLayout, OfAChoiceIsOneDiscrete) {
  const SpaceLayout layout = SpaceLayout::OfChoice(Use::kAction, 3);
  EXPECT_EQ(layout.leaves(), std::vector<SpaceLeaf>{Discrete(3)});
  EXPECT_EQ(layout.flat(), (BoxSpace{{-1, -1, -1}, {1, 1, 1}}));
  EXPECT_EQ(SpaceLayout::OfChoice(Use::kObservation, 2).flat(), (BoxSpace{{0, 0}, {1, 1}}));
}

TEST(SpaceLayout, FlattenSaysWhatDoesNotFit) {
  const auto layout = *SpaceLayout::Create(Use::kObservation, {Discrete(3, /*start=*/2)});
  std::vector<float> flat(3);
  const auto message = [&](const std::vector<std::string_view>& columns) {
    return std::string(layout.Flatten(columns, 1, flat).message());
  };
  const std::string five = Column(ElementType::kInt64, {5});
  const std::string one = Column(ElementType::kInt64, {1});
  EXPECT_EQ(message({five}), "space: expected a choice from 2 to 4, got 5");
  EXPECT_EQ(message({one}), "space: expected a choice from 2 to 4, got 1");
  EXPECT_EQ(message({"1234"}), "space: expected 8 bytes in the column, got 4");
  EXPECT_EQ(message({}), "expected 1 columns and 3 numbers, got 0 and 3");
  std::vector<std::string> columns;
  EXPECT_EQ(layout.Unflatten(flat, 2, columns).message(), "expected 6 numbers, got 3");
}

struct Refused {
  Use use;
  std::vector<SpaceLeaf> leaves;
  const char* message;
};

SpaceLeaf Named(SpaceLeaf leaf, const char* name) {
  leaf.name = name;
  return leaf;
}

TEST(SpaceLayout, RefusesWithWhatWasExpectedAndWhatCame) {
  SpaceLeaf three = Box(ElementType::kFloat32, {2}, 0, 1);
  three.low = {0, 0, 0};
  SpaceLeaf flat_discrete = Discrete(3);
  flat_discrete.shape = {1};
  SpaceLeaf uneven = MultiDiscrete({2, 2});
  uneven.shape = {3};
  const std::vector<Refused> cases = {
      {Use::kAction, {}, "space: expected at least 1 leaf, got 0"},
      {Use::kAction,
       {Named(MultiBinary(1), "a"), Named(MultiBinary(2), "a")},
       "leaf \"a\": expected each name once"},
      {Use::kObservation,
       {three},
       "space: expected 1 or 2 bounds on each side, got 3 lower and 1 upper ones"},
      {Use::kObservation,
       {Box(ElementType::kFloat32, {}, 2, 1)},
       "space: expected low <= high, got low = 2, high = 1 in element 0"},
      {Use::kAction,
       {Box(ElementType::kFloat32, {}, 1, 1)},
       "space: expected low < high, got low = 1, high = 1 in element 0"},
      {Use::kAction,
       {Box(ElementType::kFloat64, {}, 1, 1 + 1e-12)},
       "space: expected low < high, got low = 1, high = 1 in element 0"},
      {Use::kAction,
       {Box(ElementType::kFloat64, {}, 0, kInfinity)},
       "space: expected finite bounds of an action, got low = 0, high = inf in element 0"},
      {Use::kObservation,
       {Box(ElementType::kInt32, {}, 0.5, 2)},
       "space: expected whole bounds of whole numbers, got low = 0.5, high = 2 in element 0"},
      {Use::kObservation,
       {Box(ElementType::kFloat32, {2, 0}, 0, 1)},
       "space: expected sizes >= 1 and at most 1048576 elements, got [2, 0]"},
      {Use::kObservation,
       {Box(ElementType::kFloat32, {1 << 20, 1 << 20, 1 << 20, 1 << 20}, 0, 1)},
       "space: expected sizes >= 1 and at most 1048576 elements, got [1048576, 1048576, 1048576, "
       "1048576]"},
      {Use::kAction, {Discrete(0)}, "space: expected 1 to 1048576 choices, got 0"},
      {Use::kAction, {uneven}, "space: expected 3 numbers of choices, got 2"},
      {Use::kAction, {flat_discrete}, "space: expected a scalar, for it is one choice, got [1]"},
      {Use::kAction,
       {Discrete(300, 0, ElementType::kUint8)},
       "space: expected choices that its type holds, got 0 to 299"},
      {Use::kAction,
       {Discrete(2, std::numeric_limits<int64_t>::max())},
       "space: expected a first choice within 2^53, got 9223372036854775807"},
      {Use::kAction,
       {Discrete(2, 0, ElementType::kFloat32)},
       "space: expected whole numbers where a choice is made, got floating point"},
      {Use::kObservation,
       {Named(Discrete(1 << 20), "a"), Named(Discrete(1), "b")},
       "leaf \"b\": expected a flat row of at most 1048576 numbers, got 1048577"},
  };
  for (const Refused& refused : cases) {
    const absl::Status status = SpaceLayout::Create(refused.use, refused.leaves).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_EQ(status.message(), refused.message);
  }
}

TEST(HighestScore, TakesTheFirstOnATie) {
  EXPECT_EQ(HighestScore(std::vector<float>{0.5f}), 0);
  EXPECT_EQ(HighestScore(std::vector<float>{-1, 0.5f, 0.5f}), 1);
  EXPECT_EQ(HighestScore(std::vector<float>{-3, -2, -1}), 2);
}

SpaceLeaf AnyLeaf(const std::string& name) {
  const auto size = [] { return *rc::gen::inRange<int64_t>(1, 4); };
  SpaceLeaf leaf{.name = name};
  leaf.kind = *rc::gen::element(SpaceKind::kBox, SpaceKind::kDiscrete, SpaceKind::kMultiDiscrete,
                                SpaceKind::kMultiBinary);
  if (leaf.kind != SpaceKind::kDiscrete) {
    for (int64_t i = *rc::gen::inRange(0, 3); i > 0; --i) leaf.shape.push_back(size());
  }
  leaf.type = kTypes[*rc::gen::inRange(leaf.kind == SpaceKind::kBox ? 0 : 2, 6)];
  if (leaf.kind == SpaceKind::kBox) {
    leaf.low = {static_cast<double>(*rc::gen::inRange(0, 5))};
    leaf.high = {leaf.low[0] + static_cast<double>(*rc::gen::inRange(1, 90))};
  }
  if (leaf.kind == SpaceKind::kDiscrete) leaf.start = *rc::gen::inRange<int64_t>(0, 20);
  if (leaf.kind == SpaceKind::kDiscrete || leaf.kind == SpaceKind::kMultiDiscrete) {
    for (int64_t i = 0; i < leaf.elements(); ++i) leaf.choices.push_back(size());
  }
  return leaf;
}

/// Any valid numbers of a leaf; whole ones, which all types hold.
std::string AnyColumn(const SpaceLeaf& leaf, int64_t rows) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < rows * leaf.elements(); ++i) {
    int64_t low = leaf.start, high = leaf.start + 1;
    if (leaf.kind == SpaceKind::kBox) {
      low = static_cast<int64_t>(leaf.low[0]), high = static_cast<int64_t>(leaf.high[0]);
    } else if (!leaf.choices.empty()) {
      high = low + leaf.choices[static_cast<size_t>(i % leaf.elements())] - 1;
    }
    numbers.push_back(static_cast<double>(*rc::gen::inRange<int64_t>(low, high + 1)));
  }
  return Column(leaf.type, numbers);
}

TEST(SpaceLayout, AnyColumnsGoRoundAndTheirFlatRowsKeepTheBounds) {
  const bool held = rc::check([] {
    const Use use = *rc::gen::element(Use::kObservation, Use::kAction);
    std::vector<SpaceLeaf> leaves;
    for (int i = *rc::gen::inRange(1, 5); i > 0; --i) leaves.push_back(AnyLeaf(std::to_string(i)));
    const auto layout = SpaceLayout::Create(use, leaves);
    RC_ASSERT(layout.ok());
    const int64_t rows = *rc::gen::inRange<int64_t>(0, 4);
    std::vector<std::string> columns;
    for (const SpaceLeaf& leaf : leaves) columns.push_back(AnyColumn(leaf, rows));
    const size_t dim = static_cast<size_t>(layout->flat().dim());
    std::vector<float> flat(static_cast<size_t>(rows) * dim, kNan);
    const std::vector<std::string_view> views(columns.begin(), columns.end());
    RC_ASSERT(layout->Flatten(views, rows, flat).ok());
    for (size_t i = 0; i < flat.size(); ++i) {
      RC_ASSERT(flat[i] >= layout->flat().low[i % dim] && flat[i] <= layout->flat().high[i % dim]);
    }
    std::vector<std::string> back;
    RC_ASSERT(layout->Unflatten(flat, rows, back).ok());
    RC_ASSERT(back == columns);
  });
  EXPECT_TRUE(held);
}

// Whatever a policy says, a choice is a choice: the highest of its scores.
TEST(SpaceLayout, AnyScoresAreAChoice) {
  const bool held = rc::check([] {
    const int64_t choices = *rc::gen::inRange<int64_t>(1, 6);
    const int64_t start = *rc::gen::inRange<int64_t>(-3, 4);
    const auto layout = *SpaceLayout::Create(Use::kAction, {Discrete(choices, start)});
    const auto scores = *rc::gen::container<std::vector<float>>(static_cast<size_t>(choices),
                                                                rc::gen::arbitrary<float>());
    std::vector<std::string> columns;
    RC_ASSERT(layout.Unflatten(scores, 1, columns).ok());
    int64_t choice = 0;
    std::memcpy(&choice, columns[0].data(), sizeof(choice));
    RC_ASSERT(choice >= start && choice < start + choices);
    const float taken = scores[static_cast<size_t>(choice - start)];
    for (const float score : scores) RC_ASSERT(score <= taken);
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace tandem
