#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/dense.h"
#include "common/nn/flat_classifier.h"
#include "common/nn/relu_net.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

/// Rows whose activations are kept at once ...
constexpr int64_t kBlockRows = 512;

/// ... and in a gradient step, where they are the depth of the weights' gradients: as deep as the
/// kernels' own product goes (dense.h).
constexpr int64_t kStepRows = 256;

/// The explicit CPU path: forward and backward written out over blocks of rows whose activations
/// stay in cache.
class ExplicitClassifier : public FlatClassifier {
 public:
  ExplicitClassifier(const BinaryClassifierSpec& spec, std::optional<uint64_t> seed)
      : FlatClassifier(spec, kLanes),
        kernels_(Kernels::Get()),
        last_(layout_[2 * spec.hidden.size() - 2]),
        head_(layout_[2 * spec.hidden.size()]),
        head_bias_(layout_[2 * spec.hidden.size() + 1]),
        parameters_(layout_.size()) {
    InitialiseFrom(seed);
  }

  absl::Status Logits(std::span<const float> inputs, std::span<float> logits) override {
    TANDEM_RETURN_IF_ERROR(Check(inputs, logits));
    return TryTorch([&] {
      const FlushDenormals flush;
      const int64_t rows = static_cast<int64_t>(logits.size());
      Resize(std::min(rows, kBlockRows));
      for (int64_t first = 0; first < rows; first += kBlockRows) {
        const int64_t count = std::min(kBlockRows, rows - first);
        Forward(inputs.data() + first * spec_.input_dim, count);
        std::copy_n(logit_.begin(), count, logits.begin() + first);
      }
      return absl::OkStatus();
    });
  }

  absl::Status LogitGradients(std::span<const float> inputs, std::span<float> logits,
                              std::span<float> gradients) override {
    TANDEM_RETURN_IF_ERROR(Check(inputs, logits, gradients));
    return TryTorch([&] {
      const FlushDenormals flush;
      const int64_t rows = static_cast<int64_t>(logits.size()), dim = spec_.input_dim;
      Resize(std::min(rows, kBlockRows));
      for (int64_t first = 0; first < rows; first += kBlockRows) {
        const int64_t count = std::min(kBlockRows, rows - first);
        Forward(inputs.data() + first * dim, count);
        std::copy_n(logit_.begin(), count, logits.begin() + first);
        PullToInputs(count, gradients.data() + first * dim);
      }
      return absl::OkStatus();
    });
  }

 protected:
  std::vector<float> Read(Buffer buffer) const override {
    return Copied(Pick(buffer, parameters_, first_, second_), layout_.size());
  }

  void Write(Buffer buffer, std::span<const float> flat) override {
    Pick(buffer, parameters_, first_, second_).assign(flat.begin(), flat.end());
  }

 private:
  void Resize(int64_t rows) {
    ReserveLayers(layout_, rows, &hidden_);
    ReserveLayers(layout_, rows, &d_hidden_);
    const int64_t padded = PadLanes(rows);
    for (AlignedFloats* column : {&logit_, &target_, &weight_, &d_logit_}) Reserve(column, padded);
    // The head as a row of weights, one for each unit of the last hidden layer.
    Reserve(&head_weights_, last_.stride);
  }

  /// Leaves activations in hidden_, logits in logit_. The head has one column in a padded matrix,
  /// which is gathered first.
  void Forward(const float* inputs, int64_t rows) {
    const float* p = parameters_.data();
    for (int64_t j = 0; j < head_.rows; ++j) {
      head_weights_[j] = p[head_.offset + j * head_.stride];
    }
    HiddenForward(layout_, p, inputs, spec_.input_dim, rows, &hidden_);
    kernels_.row_dots(hidden_.back().data(), head_weights_.data(), rows, last_.stride,
                      logit_.data());
    const float bias = p[head_bias_.offset];
    for (int64_t i = 0; i < rows; ++i) logit_[i] += bias;
  }

  /// The gradient of each row's logit by its inputs, after Forward.
  void PullToInputs(int64_t rows, float* gradients) {
    std::fill_n(d_logit_.begin(), rows, 1.0f);
    kernels_.masked_outer(d_logit_.data(), head_weights_.data(), hidden_.back().data(), nullptr,
                          rows, last_.stride, d_hidden_.back().data(), nullptr);
    PullBack(layout_, parameters_.data(), nullptr, rows, hidden_, &d_hidden_, &transposed_);
    const LayoutEntry& w = layout_[0];
    const int64_t padded = PadLanes(spec_.input_dim);
    Reserve(&d_inputs_, rows * padded);
    DenseInputGradient(w, parameters_.data() + w.offset, d_hidden_[0].data(), rows,
                       d_inputs_.data(), padded, &transposed_);
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(d_inputs_.begin() + i * padded, spec_.input_dim, gradients + i * spec_.input_dim);
    }
  }

  /// The block's share of the mean loss; its gradient goes to `gradient`.
  double Gradient(const ClassifierRows& batch, int64_t first, int64_t rows, float* gradient) {
    const float* inputs = batch.inputs.data() + first * spec_.input_dim;
    Forward(inputs, rows);
    const int64_t padded = PadLanes(rows);
    std::copy_n(batch.targets.begin() + first, rows, target_.begin());
    std::fill_n(weight_.begin(), rows, 1.0f / static_cast<float>(batch.rows));
    std::fill(weight_.begin() + rows, weight_.begin() + padded, 0.0f);
    std::fill(logit_.begin() + rows, logit_.begin() + padded, 0.0f);
    const double loss = kernels_.binary_loss(logit_.data(), target_.data(), weight_.data(), padded,
                                             d_logit_.data());
    const float* h = hidden_.back().data();
    float sum = 0;
    for (int64_t i = 0; i < rows; ++i) sum += d_logit_[i];
    gradient[head_bias_.offset] = sum;
    kernels_.product(d_logit_.data(), 1, 1, h, last_.stride, nullptr, 1, last_.stride, rows,
                     Activation::kNone, d_head_row_.data(), last_.stride, nullptr);
    for (int64_t j = 0; j < head_.rows; ++j) {
      gradient[head_.offset + j * head_.stride] = d_head_row_[j];
    }
    kernels_.masked_outer(d_logit_.data(), head_weights_.data(), h, nullptr, rows, last_.stride,
                          d_hidden_.back().data(),
                          gradient + layout_[2 * spec_.hidden.size() - 1].offset);
    HiddenBackward(layout_, parameters_.data(), inputs, spec_.input_dim, 0, rows, hidden_,
                   &d_hidden_, gradient, &transposed_);
    return loss;
  }

  /// Scales the gradient down to `most` where its norm exceeds that.
  void ClipGradient(double most) {
    double squares = 0;
    for (const float x : gradient_) squares += static_cast<double>(x) * x;
    if (squares <= most * most) return;
    const float scale = static_cast<float>(most / std::sqrt(squares));
    for (float& x : gradient_) x *= scale;
  }

  absl::Status Step(const ClassifierRows& batch, const ClassifierStepOptions& options,
                    double* loss) override {
    const FlushDenormals flush;
    for (AlignedFloats* buffer : {&first_, &second_, &gradient_, &block_gradient_}) {
      buffer->resize(parameters_.size());
    }
    Reserve(&d_head_row_, last_.stride);
    Resize(std::min(batch.rows, kStepRows));
    *loss = 0;
    for (int64_t first = 0; first < batch.rows; first += kStepRows) {
      const int64_t rows = std::min(kStepRows, batch.rows - first);
      AlignedFloats& gradient = first == 0 ? gradient_ : block_gradient_;
      *loss += Gradient(batch, first, rows, gradient.data());
      if (first == 0) continue;
      for (size_t i = 0; i < gradient_.size(); ++i) gradient_[i] += block_gradient_[i];
    }
    // Not finite where the loss is not, and also where an input meets only dead units.
    float check = static_cast<float>(*loss);
    for (const float x : batch.inputs) check += 0 * x;
    if (!std::isfinite(check)) return absl::InternalError("classifier: its loss is not finite");
    if (options.max_gradient_norm > 0) ClipGradient(options.max_gradient_norm);
    AdamNetwork(layout_, options.adam, ++adam_steps_, parameters_.data(), gradient_.data(),
                first_.data(), second_.data());
    return absl::OkStatus();
  }

  const Kernels& kernels_;
  const LayoutEntry& last_;  ///< Weights of the last hidden layer.
  const LayoutEntry& head_;
  const LayoutEntry& head_bias_;
  AlignedFloats parameters_;
  AlignedFloats first_, second_;  ///< As parameters_, once there was a step.
  AlignedFloats gradient_, block_gradient_;
  LayerBuffers hidden_, d_hidden_;
  AlignedFloats head_weights_, d_head_row_;          ///< [last hidden width]
  AlignedFloats logit_, target_, weight_, d_logit_;  ///< [rows]
  AlignedFloats d_inputs_, transposed_;
};

}  // namespace

std::unique_ptr<BinaryClassifier> MakeExplicitClassifier(const BinaryClassifierSpec& spec,
                                                         std::optional<uint64_t> seed) {
  return std::make_unique<ExplicitClassifier>(spec, seed);
}

}  // namespace tandem::nn
