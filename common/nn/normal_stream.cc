#include "common/nn/normal_stream.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/nn/kernels.h"
#include "common/nn/layout.h"

namespace tandem::nn {
namespace {

constexpr int64_t kBlock = 32;

}  // namespace

void NormalStream::Fill(std::span<float> out) {
  const Kernels& kernels = Kernels::Get();
  const int64_t whole = static_cast<int64_t>(out.size()) / kBlock;
  kernels.fill_normal(key_, block_, whole, out.data());
  block_ += whole;
  const std::span<float> rest = out.subspan(whole * kBlock);
  if (rest.empty()) return;
  float last[kBlock];
  kernels.fill_normal(key_, block_++, 1, last);
  std::copy_n(last, rest.size(), rest.begin());
}

void NormalStream::Save(const std::string& name, TensorFile* file) const {
  PutInt(file, name + ".key", static_cast<int64_t>(key_));
  PutInt(file, name + ".block", static_cast<int64_t>(block_));
}

absl::Status NormalStream::Load(const std::string& name, const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const int64_t key, FindInt(file, name + ".key"));
  TANDEM_ASSIGN_OR_RETURN(const int64_t block, FindInt(file, name + ".block"));
  key_ = static_cast<uint64_t>(key);
  block_ = static_cast<uint64_t>(block);
  return absl::OkStatus();
}

}  // namespace tandem::nn
