#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/rng.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Where one weight matrix or vector lies within the flat parameters of one network.
struct LayoutEntry {
  std::string name;  ///< "w0", "b0", ...
  int64_t rows = 0;  ///< 1 for a vector
  int64_t cols = 0;
  int64_t stride = 0;  ///< Floats from one row to the next: cols, or cols rounded up.
  int64_t offset = 0;  ///< Floats from the start of the network's parameters.
  bool vector = false;
  bool decay = false;  ///< Weight decay applies.
};

/// How the parameters of a network lie in one flat buffer. Rows may be padded to a multiple of
/// `align` floats, so that vector loops have no tails; padding is zero and stays zero. Several
/// networks of one layout lie one after the other, `size()` floats apart.
class ParameterLayout {
 public:
  explicit ParameterLayout(int64_t align) : align_(align) {}

  void AddMatrix(const std::string& name, int64_t rows, int64_t cols);
  void AddVector(const std::string& name, int64_t cols);

  /// Weights and biases of an MLP: "w0" [input, hidden[0]], "b0", ... Layer l has the entries 2 l
  /// and 2 l + 1.
  static ParameterLayout Mlp(int64_t align, int64_t input, const std::vector<int>& hidden,
                             int64_t output);

  const std::vector<LayoutEntry>& entries() const { return entries_; }
  const LayoutEntry& operator[](size_t index) const { return entries_[index]; }
  /// Floats of one network, padding included.
  int64_t size() const { return size_; }
  /// Parameters of one network, without padding.
  int64_t count() const { return count_; }
  int64_t align() const { return align_; }

 private:
  void Add(LayoutEntry entry);

  int64_t align_;
  int64_t size_ = 0;
  int64_t count_ = 0;
  std::vector<LayoutEntry> entries_;
};

/// Whether these can be the widths of hidden layers: at least one layer, each of at least 1.
bool AreWidths(const std::vector<int>& hidden);

/// INVALID_ARGUMENT where the span `what` has another number of elements than expected.
absl::Status CheckCount(std::string_view what, size_t expected, size_t got);

/// Copies `networks` networks between a padded flat buffer and the same without padding.
std::vector<float> Compact(const ParameterLayout& layout, int64_t networks,
                           std::span<const float> flat);
void Expand(const ParameterLayout& layout, int64_t networks, std::span<const float> compact,
            std::span<float> flat);

/// Named tensors, unpadded, of `networks` networks in a padded flat buffer. With `leading`, each
/// tensor has a first dimension of `networks`; without, networks is 1.
void ExportTensors(const ParameterLayout& layout, int64_t networks, bool leading,
                   std::span<const float> flat, const std::string& prefix, TensorFile* file);
/// The reverse; NOT_FOUND and INVALID_ARGUMENT name the tensor, and refuse numbers that are not
/// finite.
absl::StatusOr<std::vector<float>> ImportTensors(const ParameterLayout& layout, int64_t networks,
                                                 bool leading, const std::string& prefix,
                                                 const TensorFile& file);

/// Initial values of weight matrices, [rows, cols]; biases are 0.
using InitWeights = void (*)(const LayoutEntry& entry, Rng& rng, std::span<float> out);
/// Truncated normal (at 2 standard deviations) with standard deviation 1 / (2 sqrt(rows)).
void TruncatedNormal(const LayoutEntry& entry, Rng& rng, std::span<float> out);
/// Xavier's uniform distribution (Glorot and Bengio 2010).
void XavierUniform(const LayoutEntry& entry, Rng& rng, std::span<float> out);
/// Unpadded initial parameters of `networks` networks: the same for every `align`.
std::vector<float> Initialise(const ParameterLayout& layout, int64_t networks, InitWeights init,
                              Rng& rng);

/// Stores whole numbers that a float cannot hold: as text in the metadata.
void PutInt(TensorFile* file, const std::string& key, int64_t value);

}  // namespace tandem::nn
