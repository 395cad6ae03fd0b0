#include "common/nn/layout.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"

namespace tandem::nn {
namespace {

int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::vector<int64_t> ShapeOf(const LayoutEntry& entry, int64_t networks, bool leading) {
  std::vector<int64_t> shape;
  if (leading) shape.push_back(networks);
  if (!entry.vector) shape.push_back(entry.rows);
  shape.push_back(entry.cols);
  return shape;
}

}  // namespace

void ParameterLayout::Add(LayoutEntry entry) {
  entry.stride = RoundUp(entry.cols, align_);
  entry.offset = size_;
  size_ += entry.rows * entry.stride;
  count_ += entry.rows * entry.cols;
  entries_.push_back(std::move(entry));
}

void ParameterLayout::AddMatrix(const std::string& name, int64_t rows, int64_t cols) {
  Add({.name = name, .rows = rows, .cols = cols, .vector = false, .decay = true});
}

void ParameterLayout::AddVector(const std::string& name, int64_t cols) {
  Add({.name = name, .rows = 1, .cols = cols, .vector = true, .decay = false});
}

ParameterLayout ParameterLayout::Mlp(int64_t align, int64_t input, const std::vector<int>& hidden,
                                     int64_t output) {
  ParameterLayout layout(align);
  int64_t rows = input;
  for (size_t layer = 0; layer <= hidden.size(); ++layer) {
    const int64_t cols = layer < hidden.size() ? hidden[layer] : output;
    layout.AddMatrix(absl::StrCat("w", layer), rows, cols);
    layout.AddVector(absl::StrCat("b", layer), cols);
    rows = cols;
  }
  return layout;
}

bool AreWidths(const std::vector<int>& hidden) {
  return !hidden.empty() &&
         std::all_of(hidden.begin(), hidden.end(), [](int width) { return width >= 1; });
}

absl::Status CheckCount(std::string_view what, size_t expected, size_t got) {
  if (got == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(what), ": expected ", expected, " numbers, got ", got));
}

std::vector<float> Compact(const ParameterLayout& layout, int64_t networks,
                           std::span<const float> flat) {
  std::vector<float> out;
  out.reserve(networks * layout.count());
  for (int64_t n = 0; n < networks; ++n) {
    for (const LayoutEntry& entry : layout.entries()) {
      const float* row = flat.data() + n * layout.size() + entry.offset;
      for (int64_t r = 0; r < entry.rows; ++r, row += entry.stride) {
        out.insert(out.end(), row, row + entry.cols);
      }
    }
  }
  return out;
}

void Expand(const ParameterLayout& layout, int64_t networks, std::span<const float> compact,
            std::span<float> flat) {
  const float* in = compact.data();
  for (int64_t n = 0; n < networks; ++n) {
    for (const LayoutEntry& entry : layout.entries()) {
      float* row = flat.data() + n * layout.size() + entry.offset;
      for (int64_t r = 0; r < entry.rows; ++r, row += entry.stride, in += entry.cols) {
        std::copy(in, in + entry.cols, row);
      }
    }
  }
}

void ExportTensors(const ParameterLayout& layout, int64_t networks, bool leading,
                   std::span<const float> flat, const std::string& prefix, TensorFile* file) {
  for (const LayoutEntry& entry : layout.entries()) {
    NamedTensor& tensor = file->tensors[prefix + entry.name];
    tensor.shape = ShapeOf(entry, networks, leading);
    tensor.data.clear();
    tensor.data.reserve(networks * entry.rows * entry.cols);
    for (int64_t n = 0; n < networks; ++n) {
      const float* row = flat.data() + n * layout.size() + entry.offset;
      for (int64_t r = 0; r < entry.rows; ++r, row += entry.stride) {
        tensor.data.insert(tensor.data.end(), row, row + entry.cols);
      }
    }
  }
}

absl::StatusOr<std::vector<float>> ImportTensors(const ParameterLayout& layout, int64_t networks,
                                                 bool leading, const std::string& prefix,
                                                 const TensorFile& file) {
  std::vector<float> flat(networks * layout.size());
  for (const LayoutEntry& entry : layout.entries()) {
    const std::string name = prefix + entry.name;
    TANDEM_ASSIGN_OR_RETURN(const NamedTensor* tensor,
                            FindTensor(file, name, ShapeOf(entry, networks, leading)));
    if (!AllFinite(tensor->data)) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", name, "\": expected finite numbers"));
    }
    const float* in = tensor->data.data();
    for (int64_t n = 0; n < networks; ++n) {
      float* row = flat.data() + n * layout.size() + entry.offset;
      for (int64_t r = 0; r < entry.rows; ++r, row += entry.stride, in += entry.cols) {
        std::copy(in, in + entry.cols, row);
      }
    }
  }
  return flat;
}

void TruncatedNormal(const LayoutEntry& entry, Rng& rng, std::span<float> out) {
  const double scale = 1 / (2 * std::sqrt(static_cast<double>(entry.rows)));
  for (float& x : out) {
    double normal = rng.Normal();
    while (std::abs(normal) > 2) normal = rng.Normal();
    x = static_cast<float>(scale * normal);
  }
}

void XavierUniform(const LayoutEntry& entry, Rng& rng, std::span<float> out) {
  const double bound = std::sqrt(6.0 / static_cast<double>(entry.rows + entry.cols));
  for (float& x : out) x = static_cast<float>(rng.Uniform(-bound, bound));
}

std::vector<float> Initialise(const ParameterLayout& layout, int64_t networks, InitWeights init,
                              Rng& rng) {
  std::vector<float> compact(networks * layout.count());
  float* out = compact.data();
  for (int64_t n = 0; n < networks; ++n) {
    for (const LayoutEntry& entry : layout.entries()) {
      const int64_t size = entry.rows * entry.cols;
      if (!entry.vector) init(entry, rng, std::span<float>(out, size));
      out += size;
    }
  }
  return compact;
}

void PutInt(TensorFile* file, const std::string& key, int64_t value) {
  file->metadata[key] = absl::StrCat(value);
}

}  // namespace tandem::nn
