#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/dense.h"
#include "common/nn/flat_ensemble.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

constexpr float kBoundsPenalty = 0.01f;
/// Rows of a training batch whose activations are kept at once.
constexpr int64_t kMostRowsAtOnce = 512;

/// The explicit CPU path: forward and backward written out, one member after the other so that a
/// member's activations stay in cache, with fused passes between the products.
class ExplicitEnsemble : public FlatEnsemble {
 public:
  ExplicitEnsemble(const GaussianEnsembleSpec& spec, std::optional<uint64_t> seed)
      : FlatEnsemble(spec, kLanes),
        kernels_(Kernels::Get()),
        layers_(spec.hidden.size()),
        head_(layout_[2 * layers_]),
        hidden_(layers_),
        slopes_(layers_),
        gradients_(layers_) {
    parameters_.resize(spec.members * layout_.size());
    uniform_ = std::all_of(spec.hidden.begin(), spec.hidden.end(),
                           [&](int width) { return width == spec.hidden[0]; });
    InitialiseFrom(seed);
  }

  absl::Status Predict(int member, std::span<const float> inputs,
                       EnsemblePrediction* prediction) override {
    TANDEM_RETURN_IF_ERROR(CheckPredict(member, inputs));
    return TryTorch([&] {
      const FlushDenormals flush;
      const int64_t rows = static_cast<int64_t>(inputs.size()) / spec_.input_dim;
      Resize(rows);
      Forward(Member(parameters_, member), inputs.data(), rows, /*slopes=*/false);
      CopyOut(Member(parameters_, member), rows, prediction);
      return absl::OkStatus();
    });
  }

  void CopyMemberParameters(int member, std::vector<float>* parameters) const override {
    const float* begin = parameters_.data() + member * layout_.size();
    parameters->assign(begin, begin + layout_.size());
  }

  absl::Status SetMemberParameters(int member, std::span<const float> parameters) override {
    TANDEM_RETURN_IF_ERROR(CheckParameters(member, parameters));
    std::copy(parameters.begin(), parameters.end(), Member(parameters_, member));
    return absl::OkStatus();
  }

 protected:
  std::vector<float> Read(Buffer buffer) const override {
    return Copied(Pick(buffer, parameters_, first_, second_), spec_.members * layout_.size());
  }

  void Write(Buffer buffer, std::span<const float> flat) override {
    Pick(buffer, parameters_, first_, second_).assign(flat.begin(), flat.end());
  }

 private:
  /// Rows of a batch that go through the network together.
  struct Block {
    int64_t first, rows;
  };

  float* Member(AlignedFloats& buffer, int member) {
    return buffer.data() + member * layout_.size();
  }

  /// Gradient by the outputs of hidden layer `layer`. Two buffers take turns where all layers are
  /// alike.
  float* GradientOf(size_t layer) { return gradients_[uniform_ ? layer % 2 : layer].data(); }

  void Resize(int64_t rows) {
    for (size_t l = 0; l < layers_; ++l) {
      Reserve(&hidden_[l], rows * layout_[2 * l].stride);
      Reserve(&slopes_[l], rows * layout_[2 * l].stride);
      Reserve(&gradients_[l], rows * layout_[2 * l].stride);
    }
    Reserve(&output_, rows * head_.stride);
    Reserve(&d_output_, rows * head_.stride);
    const int64_t padded = PadLanes(rows);
    for (AlignedFloats* column : {&mean_, &raw_, &target_, &d_mean_, &d_raw_, &weight_, &ones_}) {
      Reserve(column, padded);
    }
  }

  /// Leaves activations in hidden_ (and slopes_), the last layer's outputs in output_.
  void Forward(const float* p, const float* inputs, int64_t rows, bool slopes) {
    const float* x = inputs;
    int64_t ldx = spec_.input_dim;
    for (size_t l = 0; l < layers_; ++l) {
      const LayoutEntry& w = layout_[2 * l];
      DenseForward(w, p + w.offset, p + layout_[2 * l + 1].offset, Activation::kSilu, x, ldx, rows,
                   hidden_[l].data(), slopes ? slopes_[l].data() : nullptr);
      x = hidden_[l].data();
      ldx = w.stride;
    }
    kernels_.product(x, ldx, 1, p + head_.offset, head_.stride, p + layout_[2 * layers_ + 1].offset,
                     rows, head_.stride, head_.rows, Activation::kNone, output_.data(),
                     head_.stride, nullptr);
  }

  /// Column `column` of a [rows, ld] matrix, between its rows and an array.
  static void Gather(const float* from, int64_t ld, int64_t column, int64_t rows, float* to) {
    for (int64_t i = 0; i < rows; ++i) to[i] = from[i * ld + column];
  }
  static void Scatter(const float* from, int64_t ld, int64_t column, int64_t rows, float* to) {
    for (int64_t i = 0; i < rows; ++i) to[i * ld + column] = from[i];
  }

  void SetWeights(int64_t rows, float weight) {
    std::fill_n(weight_.begin(), rows, weight);
    std::fill(weight_.begin() + rows, weight_.end(), 0.0f);
  }

  /// The block's share of the member's loss; its gradient by the outputs goes to d_output_, by the
  /// bounds to `gradient`.
  double Loss(const float* p, const EnsembleRows& batch, int member, Block block, float* gradient) {
    const int64_t rows = block.rows, dim = spec_.output_dim, padded = PadLanes(rows);
    const int64_t first = member * batch.rows + block.first;
    const float* low = p + layout_[min_entry()].offset;
    const float* high = p + layout_[max_entry()].offset;
    const float* targets = batch.targets.data() + first * dim;
    const float penalty =
        kBoundsPenalty * static_cast<float>(rows) / static_cast<float>(batch.rows);
    double loss = 0;
    SetWeights(rows, 0.5f / static_cast<float>(batch.rows * dim));
    for (int64_t d = 0; d < dim; ++d) {
      Gather(output_.data(), head_.stride, d, rows, mean_.data());
      Gather(output_.data(), head_.stride, dim + d, rows, raw_.data());
      Gather(targets, dim, d, rows, target_.data());
      const NllSums sums =
          kernels_.gaussian_loss(mean_.data(), raw_.data(), target_.data(), weight_.data(), low[d],
                                 high[d], padded, d_mean_.data(), d_raw_.data());
      Scatter(d_mean_.data(), head_.stride, d, rows, d_output_.data());
      Scatter(d_raw_.data(), head_.stride, dim + d, rows, d_output_.data());
      gradient[layout_[min_entry()].offset + d] = static_cast<float>(sums.d_low) - penalty;
      gradient[layout_[max_entry()].offset + d] = static_cast<float>(sums.d_high) + penalty;
      loss += sums.loss + penalty * (high[d] - low[d]);
      if (!batch.mean_gradients.empty()) AddGradients(p, batch, first, rows, d, gradient);
    }
    if (spec_.binary_dim == 0) return loss;
    const float* wanted = batch.binary_targets.data() + first * spec_.binary_dim;
    SetWeights(rows, 1.0f / static_cast<float>(batch.rows * spec_.binary_dim));
    for (int64_t d = 0; d < spec_.binary_dim; ++d) {
      Gather(output_.data(), head_.stride, 2 * dim + d, rows, raw_.data());
      Gather(wanted, spec_.binary_dim, d, rows, target_.data());
      loss +=
          kernels_.binary_loss(raw_.data(), target_.data(), weight_.data(), padded, d_raw_.data());
      Scatter(d_raw_.data(), head_.stride, 2 * dim + d, rows, d_output_.data());
    }
    return loss;
  }

  /// Adds the gradients of a further term by output `d` for the rows from `first` on, whose raw log
  /// variances are in raw_, to d_output_ and the bounds' gradients:
  ///   u = high - softplus(high - raw),  log_var = low + softplus(u - low).
  void AddGradients(const float* p, const EnsembleRows& batch, int64_t first, int64_t rows,
                    int64_t d, float* gradient) {
    const auto softplus = [](float x) {
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    };
    const auto sigmoid = [](float x) { return 1 / (1 + std::exp(-x)); };
    const int64_t dim = spec_.output_dim;
    const float low = p[layout_[min_entry()].offset + d];
    const float high = p[layout_[max_entry()].offset + d];
    float d_low = 0, d_high = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const float inner = sigmoid(high - raw_[i]);
      const float outer = sigmoid(high - softplus(high - raw_[i]) - low);
      const float by_log_var = batch.log_var_gradients[(first + i) * dim + d];
      float* out = d_output_.data() + i * head_.stride;
      out[d] += batch.mean_gradients[(first + i) * dim + d];
      out[dim + d] += by_log_var * outer * inner;
      d_high += by_log_var * outer * (1 - inner);
      d_low += by_log_var * (1 - outer);
    }
    gradient[layout_[min_entry()].offset + d] += d_low;
    gradient[layout_[max_entry()].offset + d] += d_high;
  }

  /// From d_output_ and the activations to the member's gradient.
  void Backward(const float* p, const float* inputs, int64_t rows, float* gradient) {
    const size_t last = layers_ - 1;
    const LayoutEntry& below = layout_[2 * last];
    DenseWeightGradient(head_, hidden_[last].data(), below.stride, d_output_.data(), rows,
                        gradient + head_.offset);
    std::fill_n(ones_.begin(), rows, 1.0f);
    kernels_.product(ones_.data(), 1, 1, d_output_.data(), head_.stride, nullptr, 1, head_.stride,
                     rows, Activation::kNone, gradient + layout_[2 * layers_ + 1].offset,
                     head_.stride, nullptr);
    TransposeRows(head_, p + head_.offset, 0, head_.rows, &transposed_);
    kernels_.product(d_output_.data(), head_.stride, 1, transposed_.data(), below.stride, nullptr,
                     rows, below.stride, head_.cols, Activation::kNone, GradientOf(last),
                     below.stride, nullptr);
    for (size_t l = layers_; l-- > 0;) {
      const LayoutEntry& w = layout_[2 * l];
      kernels_.scale_and_sum(GradientOf(l), slopes_[l].data(), rows, w.stride,
                             gradient + layout_[2 * l + 1].offset);
      const float* x = l == 0 ? inputs : hidden_[l - 1].data();
      const int64_t ldx = l == 0 ? spec_.input_dim : layout_[2 * l - 2].stride;
      DenseWeightGradient(w, x, ldx, GradientOf(l), rows, gradient + w.offset);
      if (l == 0) continue;
      DenseInputGradient(w, p + w.offset, GradientOf(l), rows, GradientOf(l - 1), ldx,
                         &transposed_);
    }
  }

  static absl::Status NotFinite(int member) {
    return absl::InternalError(
        absl::StrCat("ensemble member ", member, ": its loss is not finite"));
  }

  /// Looks at all members' rows before the first has its step: a batch that cannot be used changes
  /// nothing.
  absl::Status CheckFinite(const EnsembleRows& batch) const {
    for (int m = 0; m < spec_.members; ++m) {
      float sum = 0;  // NaN where a number is not finite
      for (const auto& rows : {batch.inputs, batch.targets, batch.binary_targets,
                               batch.mean_gradients, batch.log_var_gradients}) {
        const size_t size = rows.size() / spec_.members;
        for (const float x : rows.subspan(m * size, size)) sum += 0 * x;
      }
      if (std::isnan(sum)) return NotFinite(m);
    }
    return absl::OkStatus();
  }

  /// The member's loss; its gradient goes to gradient_. A large batch goes block by block, whose
  /// activations stay in cache.
  double Gradient(const float* p, const EnsembleRows& batch, int member) {
    const int64_t parts = (batch.rows + kMostRowsAtOnce - 1) / kMostRowsAtOnce;
    double loss = 0;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = batch.rows * part / parts;
      const Block block{first, batch.rows * (part + 1) / parts - first};
      const float* inputs =
          batch.inputs.data() + (member * batch.rows + block.first) * spec_.input_dim;
      float* gradient = part == 0 ? gradient_.data() : block_gradient_.data();
      Forward(p, inputs, block.rows, /*slopes=*/true);
      loss += Loss(p, batch, member, block, gradient);
      Backward(p, inputs, block.rows, gradient);
      if (part == 0) continue;
      std::transform(gradient_.begin(), gradient_.end(), block_gradient_.begin(), gradient_.begin(),
                     std::plus<float>());
    }
    return loss;
  }

  absl::Status Step(const EnsembleRows& batch, const AdamOptions& options,
                    std::span<float> losses) override {
    const FlushDenormals flush;
    first_.resize(parameters_.size());
    second_.resize(parameters_.size());
    gradient_.resize(layout_.size());
    block_gradient_.resize(layout_.size());
    Resize(std::min(batch.rows, kMostRowsAtOnce));
    TANDEM_RETURN_IF_ERROR(CheckFinite(batch));
    for (int m = 0; m < spec_.members; ++m) {
      float* p = Member(parameters_, m);
      losses[m] = static_cast<float>(Gradient(p, batch, m));
      if (!std::isfinite(losses[m])) return NotFinite(m);
      AdamNetwork(layout_, options, adam_steps_ + 1, p, gradient_.data(), Member(first_, m),
                  Member(second_, m));
    }
    ++adam_steps_;
    return absl::OkStatus();
  }

  void CopyOut(const float* p, int64_t rows, EnsemblePrediction* out) {
    const int64_t dim = spec_.output_dim, padded = PadLanes(rows);
    const float* low = p + layout_[min_entry()].offset;
    const float* high = p + layout_[max_entry()].offset;
    out->means.resize(rows * dim);
    out->log_vars.resize(rows * dim);
    out->stds.resize(rows * dim);
    out->logits.resize(rows * spec_.binary_dim);
    for (int64_t d = 0; d < dim; ++d) {
      Gather(output_.data(), head_.stride, d, rows, mean_.data());
      Scatter(mean_.data(), dim, d, rows, out->means.data());
      Gather(output_.data(), head_.stride, dim + d, rows, raw_.data());
      kernels_.bounded_log_var(raw_.data(), low[d], high[d], padded, d_raw_.data(), d_mean_.data());
      Scatter(d_raw_.data(), dim, d, rows, out->log_vars.data());
      Scatter(d_mean_.data(), dim, d, rows, out->stds.data());
    }
    for (int64_t d = 0; d < spec_.binary_dim; ++d) {
      Gather(output_.data(), head_.stride, 2 * dim + d, rows, raw_.data());
      Scatter(raw_.data(), spec_.binary_dim, d, rows, out->logits.data());
    }
  }

  const Kernels& kernels_;
  const size_t layers_;  ///< Hidden ones.
  const LayoutEntry& head_;
  bool uniform_ = false;
  AlignedFloats parameters_;      ///< [members, layout size]
  AlignedFloats block_gradient_;  ///< Of a block of rows, as gradient_.
  AlignedFloats gradient_;        ///< Of one member, used while it is in cache.
  AlignedFloats first_, second_;  ///< As parameters_, once there was a step.
  std::vector<AlignedFloats> hidden_, slopes_, gradients_;              ///< [layers][rows, width]
  AlignedFloats output_, d_output_;                                     ///< [rows, head width]
  AlignedFloats mean_, raw_, target_, d_mean_, d_raw_, weight_, ones_;  ///< [rows]
  AlignedFloats transposed_;
};

}  // namespace

std::unique_ptr<GaussianEnsemble> MakeExplicitEnsemble(const GaussianEnsembleSpec& spec,
                                                       std::optional<uint64_t> seed) {
  return std::make_unique<ExplicitEnsemble>(spec, seed);
}

}  // namespace tandem::nn
