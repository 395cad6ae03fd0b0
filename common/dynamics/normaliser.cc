#include "common/dynamics/normaliser.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::dynamics {
namespace {

constexpr int64_t kBlockRows = 1024;

}  // namespace

Normaliser Normaliser::Of(std::span<const float> rows, int64_t dim, float constant_std) {
  const auto block = [&](int64_t first, int64_t count) {
    return rows.subspan(first * dim, count * dim);
  };
  return Of(static_cast<int64_t>(rows.size()) / dim, dim, block, constant_std);
}

Normaliser Normaliser::Of(int64_t rows, int64_t dim, const Block& block, float constant_std) {
  const double count = static_cast<double>(rows);
  const auto for_each = [&](const auto& add) {
    for (int64_t first = 0; first < rows; first += kBlockRows) {
      const std::span<const float> some = block(first, std::min(kBlockRows, rows - first));
      for (size_t i = 0; i < some.size(); i += dim) {
        for (int64_t j = 0; j < dim; ++j) add(j, some[i + j]);
      }
    }
  };
  std::vector<double> sum(dim), squares(dim);
  for_each([&](int64_t j, float x) { sum[j] += x; });
  for (double& x : sum) x /= count;
  for_each([&](int64_t j, float x) { squares[j] += (x - sum[j]) * (x - sum[j]); });
  Normaliser out;
  for (int64_t j = 0; j < dim; ++j) {
    const double std = std::sqrt(squares[j] / count);
    out.mean.push_back(static_cast<float>(sum[j]));
    out.std.push_back(std < 1e-6 * (1 + std::abs(sum[j])) ? constant_std : static_cast<float>(std));
  }
  return out;
}

void Normaliser::Apply(std::span<float> rows) const {
  const size_t columns = mean.size();
  for (size_t i = 0; i < rows.size(); i += columns) {
    for (size_t j = 0; j < columns; ++j) rows[i + j] = (rows[i + j] - mean[j]) / std[j];
  }
}

void Normaliser::Export(const std::string& prefix, nn::TensorFile* file) const {
  file->tensors[prefix + "_mean"] = {{dim()}, mean};
  file->tensors[prefix + "_std"] = {{dim()}, std};
}

absl::Status Normaliser::Import(const std::string& prefix, int64_t dim,
                                const nn::TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const auto* means, nn::FindTensor(file, prefix + "_mean", {dim}));
  TANDEM_ASSIGN_OR_RETURN(const auto* stds, nn::FindTensor(file, prefix + "_std", {dim}));
  for (int64_t j = 0; j < dim; ++j) {
    if (!std::isfinite(means->data[j]) || !std::isfinite(stds->data[j]) || stds->data[j] <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("tensors \"", prefix, "_mean\" and \"", prefix,
                                                     "_std\": expected finite means and "
                                                     "positive standard deviations"));
    }
  }
  mean = means->data;
  std = stds->data;
  return absl::OkStatus();
}

}  // namespace tandem::dynamics
