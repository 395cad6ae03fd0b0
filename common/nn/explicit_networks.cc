#include "common/nn/explicit_networks.h"

#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

/// Rows that act or are valued at once: their activations stay in cache.
constexpr int64_t kBlockRows = 256;

}  // namespace

ExplicitNetworks::ExplicitNetworks(const ActorCriticSpec& spec, const SacOptions& options,
                                   std::optional<uint64_t> seed)
    : FlatActorCritic(spec, options, kLanes, seed),
      kernels_(Kernels::Get()),
      layers_(spec.hidden.size()),
      input_dim_(spec.obs_dim + spec.action_dim),
      actor_(actor_layout_.size()) {
  InitialiseFrom(seed);
}

absl::Status ExplicitNetworks::Act(std::span<const float> observations,
                                   std::span<const float> noise, std::span<float> actions,
                                   std::span<float> log_probs) const {
  TANDEM_RETURN_IF_ERROR(CheckAct(observations, noise, actions, log_probs));
  static thread_local ActorPass pass;
  return TryTorch([&] {
    const FlushDenormals flush;
    const int64_t rows = static_cast<int64_t>(observations.size()) / spec_.obs_dim;
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, rows - begin);
      const int64_t offset = begin * spec_.action_dim;
      RunActor(observations.data() + begin * spec_.obs_dim, count,
               noise.empty() ? nullptr : noise.data() + offset, &pass);
      PutActions(pass, 0, count, spec_.action_dim, actions.data() + offset);
      if (!log_probs.empty()) {
        std::copy_n(pass.log_prob.begin(), count, log_probs.begin() + begin);
      }
    }
    return absl::OkStatus();
  });
}

absl::Status ExplicitNetworks::Distribution(std::span<const float> observations,
                                            std::span<float> means,
                                            std::span<float> log_stds) const {
  TANDEM_RETURN_IF_ERROR(CheckAct(observations, {}, means, {}));
  TANDEM_RETURN_IF_ERROR(CheckAct(observations, {}, log_stds, {}));
  static thread_local ActorPass pass;
  return TryTorch([&] {
    const FlushDenormals flush;
    const int64_t rows = static_cast<int64_t>(observations.size()) / spec_.obs_dim;
    const int64_t dim = spec_.action_dim, stride = ActorHead().stride;
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, rows - begin);
      RunActor(observations.data() + begin * spec_.obs_dim, count, nullptr, &pass);
      for (int64_t i = 0; i < count * dim; ++i) {
        const float* row = pass.output.data() + i / dim * stride + i % dim;
        means[begin * dim + i] = row[0];
        log_stds[begin * dim + i] = std::clamp(row[dim], kMinLogStd, kMaxLogStd);
      }
    }
    return absl::OkStatus();
  });
}

absl::Status ExplicitNetworks::Value(std::span<const float> observations,
                                     std::span<const float> actions, bool target,
                                     std::span<float> values) const {
  TANDEM_RETURN_IF_ERROR(CheckValue(observations, actions, values));
  static thread_local CriticPass pass;
  static thread_local std::vector<float> inputs;
  return TryTorch([&] {
    const FlushDenormals flush;
    const int64_t rows = static_cast<int64_t>(values.size());
    inputs.resize(kBlockRows * input_dim_);
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, rows - begin);
      Concatenate(observations.data() + begin * spec_.obs_dim,
                  actions.data() + begin * spec_.action_dim, count, inputs.data());
      for (int c = 0; c < 2; ++c) {
        RunCritic(c, target ? target_ : critic_.p, inputs.data(), count, &pass);
      }
      for (int64_t i = 0; i < count; ++i) values[begin + i] = Smaller(pass, i);
    }
    return absl::OkStatus();
  });
}

std::vector<float> ExplicitNetworks::Read(Buffer buffer) const {
  return Copied(Select(buffer),
                buffer <= Buffer::kActorSecond ? actor_layout_.size() : 2 * critic_layout_.size());
}
void ExplicitNetworks::Write(Buffer buffer, std::span<const float> flat) {
  const_cast<AlignedFloats&>(Select(buffer)).assign(flat.begin(), flat.end());
}

const AlignedFloats& ExplicitNetworks::Select(Buffer buffer) const {
  switch (buffer) {
    case Buffer::kActor:
      return actor_.p;
    case Buffer::kActorFirst:
      return actor_.m;
    case Buffer::kActorSecond:
      return actor_.v;
    case Buffer::kCritic:
      return critic_.p;
    case Buffer::kCriticFirst:
      return critic_.m;
    case Buffer::kCriticSecond:
      return critic_.v;
    case Buffer::kTarget:
      break;
  }
  return target_;
}

void ExplicitNetworks::Concatenate(const float* observations, const float* actions, int64_t rows,
                                   float* inputs) const {
  for (int64_t i = 0; i < rows; ++i) {
    inputs = std::copy_n(observations + i * spec_.obs_dim, spec_.obs_dim, inputs);
    inputs = std::copy_n(actions + i * spec_.action_dim, spec_.action_dim, inputs);
  }
}

void ExplicitNetworks::RunActor(const float* observations, int64_t rows, const float* noise,
                                ActorPass* pass) const {
  const int64_t padded = PadLanes(rows), dim = spec_.action_dim;
  const LayoutEntry& head = ActorHead();
  const float* p = actor_.p.data();
  ReserveLayers(actor_layout_, rows, &pass->hidden);
  Reserve(&pass->output, rows * head.stride);
  for (AlignedFloats* column :
       {&pass->mean, &pass->log_std, &pass->noise, &pass->std, &pass->log_prob}) {
    Reserve(column, padded);
  }
  for (auto* columns : {&pass->action, &pass->scaled_noise, &pass->clamped}) {
    if (static_cast<int64_t>(columns->size()) < dim) columns->resize(dim);
    for (AlignedFloats& column : *columns) Reserve(&column, padded);
  }
  HiddenForward(actor_layout_, p, observations, spec_.obs_dim, rows, &pass->hidden);
  kernels_.product(pass->hidden.back().data(), LastWidth(), 1, p + head.offset, head.stride,
                   p + actor_layout_[2 * layers_ + 1].offset, rows, head.stride, head.rows,
                   Activation::kNone, pass->output.data(), head.stride, nullptr);
  std::fill_n(pass->log_prob.begin(), padded, 0.0f);
  for (int64_t a = 0; a < dim; ++a) {
    for (int64_t i = 0; i < rows; ++i) {
      const float raw = pass->output[i * head.stride + dim + a];
      pass->mean[i] = pass->output[i * head.stride + a];
      pass->log_std[i] = std::clamp(raw, kMinLogStd, kMaxLogStd);
      pass->clamped[a][i] = raw < kMinLogStd || raw > kMaxLogStd ? 1.0f : 0.0f;
      pass->noise[i] = noise == nullptr ? 0.0f : noise[i * dim + a];
    }
    kernels_.squash(pass->mean.data(), pass->log_std.data(),
                    noise == nullptr ? nullptr : pass->noise.data(), padded, pass->action[a].data(),
                    pass->std.data(), pass->log_prob.data());
    for (int64_t i = 0; i < rows; ++i) pass->scaled_noise[a][i] = pass->std[i] * pass->noise[i];
  }
}

void ExplicitNetworks::PutActions(const ActorPass& pass, int64_t first, int64_t rows, int64_t ld,
                                  float* out) const {
  for (int64_t a = 0; a < spec_.action_dim; ++a) {
    for (int64_t i = 0; i < rows; ++i) out[i * ld + a] = pass.action[a][first + i];
  }
}

void ExplicitNetworks::RunCritic(int c, const AlignedFloats& parameters, const float* inputs,
                                 int64_t rows, CriticPass* pass) const {
  static thread_local AlignedFloats weight;
  const float* p = parameters.data() + c * critic_layout_.size();
  ReserveLayers(critic_layout_, rows, &pass->hidden[c]);
  Reserve(&pass->values[c], PadLanes(rows));
  HiddenForward(critic_layout_, p, inputs, input_dim_, rows, &pass->hidden[c]);
  TransposeRows(CriticHead(), p + CriticHead().offset, 0, CriticHead().rows, &weight);
  kernels_.row_dots(pass->hidden[c].back().data(), weight.data(), rows, LastWidth(),
                    pass->values[c].data());
  const float bias = p[critic_layout_[2 * layers_ + 1].offset];
  for (int64_t i = 0; i < rows; ++i) pass->values[c][i] += bias;
}

}  // namespace tandem::nn
