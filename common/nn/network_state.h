#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/layout.h"

namespace tandem::nn {

/// Parameters of networks of one layout with Adam's moments of them, wherever an implementation
/// keeps them: their import and export. Three buffers, [networks, layout.size()].
class NetworkState {
 protected:
  enum class Buffer { kParameters, kFirstMoments, kSecondMoments };

  /// leading: exported tensors have a first dimension of `networks`; without, networks is 1.
  NetworkState(ParameterLayout layout, int64_t networks, bool leading);
  virtual ~NetworkState() = default;

  /// The whole of a buffer, padding included.
  virtual std::vector<float> Read(Buffer buffer) const = 0;
  virtual void Write(Buffer buffer, std::span<const float> flat) = 0;

  /// The one of three that a buffer names.
  template <typename T>
  static T& Pick(Buffer buffer, T& parameters, T& first, T& second) {
    return buffer == Buffer::kParameters     ? parameters
           : buffer == Buffer::kFirstMoments ? first
                                             : second;
  }

  void ExportTo(const std::string& prefix, TensorFile* file) const;
  absl::Status ImportFrom(const std::string& prefix, const TensorFile& file);
  /// Adam's moments and steps.
  void ExportMoments(const std::string& prefix, TensorFile* file) const;
  absl::Status ImportMoments(const std::string& prefix, const TensorFile& file);

  const ParameterLayout layout_;
  int64_t adam_steps_ = 0;

 private:
  std::vector<int64_t> MomentShape() const;
  absl::StatusOr<std::vector<float>> FindMoments(const std::string& name,
                                                 const TensorFile& file) const;

  const int64_t networks_;
  const bool leading_;
};

/// The part of a network's interface, BinaryClassifier or GaussianEnsemble, that NetworkState
/// implements.
template <typename Interface>
class WithState : public Interface, protected NetworkState {
 public:
  void ExportParameters(const std::string& prefix, TensorFile* file) const override {
    ExportTo(prefix, file);
  }
  absl::Status ImportParameters(const std::string& prefix, const TensorFile& file) override {
    return ImportFrom(prefix, file);
  }
  void ExportOptimizer(const std::string& prefix, TensorFile* file) const override {
    ExportMoments(prefix, file);
  }
  absl::Status ImportOptimizer(const std::string& prefix, const TensorFile& file) override {
    return ImportMoments(prefix, file);
  }

 protected:
  WithState(ParameterLayout layout, int64_t networks, bool leading)
      : NetworkState(std::move(layout), networks, leading) {}
};

}  // namespace tandem::nn
