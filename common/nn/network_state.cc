#include "common/nn/network_state.h"

#include <utility>

#include "common/base/status_macros.h"

namespace tandem::nn {

NetworkState::NetworkState(ParameterLayout layout, int64_t networks, bool leading)
    : layout_(std::move(layout)), networks_(networks), leading_(leading) {}

void NetworkState::ExportTo(const std::string& prefix, TensorFile* file) const {
  ExportTensors(layout_, networks_, leading_, Read(Buffer::kParameters), prefix, file);
}

absl::Status NetworkState::ImportFrom(const std::string& prefix, const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> flat,
                          ImportTensors(layout_, networks_, leading_, prefix, file));
  Write(Buffer::kParameters, flat);
  return absl::OkStatus();
}

std::vector<int64_t> NetworkState::MomentShape() const {
  if (!leading_) return {layout_.count()};
  return {networks_, layout_.count()};
}

void NetworkState::ExportMoments(const std::string& prefix, TensorFile* file) const {
  file->tensors[prefix + "adam_m"] = {MomentShape(),
                                      Compact(layout_, networks_, Read(Buffer::kFirstMoments))};
  file->tensors[prefix + "adam_v"] = {MomentShape(),
                                      Compact(layout_, networks_, Read(Buffer::kSecondMoments))};
  PutInt(file, prefix + "adam_t", adam_steps_);
}

absl::StatusOr<std::vector<float>> NetworkState::FindMoments(const std::string& name,
                                                             const TensorFile& file) const {
  TANDEM_ASSIGN_OR_RETURN(const NamedTensor* tensor, FindTensor(file, name, MomentShape()));
  std::vector<float> flat(networks_ * layout_.size());
  Expand(layout_, networks_, tensor->data, flat);
  return flat;
}

absl::Status NetworkState::ImportMoments(const std::string& prefix, const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> first, FindMoments(prefix + "adam_m", file));
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> second, FindMoments(prefix + "adam_v", file));
  TANDEM_ASSIGN_OR_RETURN(adam_steps_, FindInt(file, prefix + "adam_t"));
  Write(Buffer::kFirstMoments, first);
  Write(Buffer::kSecondMoments, second);
  return absl::OkStatus();
}

}  // namespace tandem::nn
