#include "common/nn/actor_critic.h"

#include <bit>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/nn/device.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

constexpr char kTemperature[] = "sac.temperature";
constexpr char kUpdates[] = "sac.adam_t";
constexpr char kNoise[] = "sac.noise";

absl::Status Check(const ActorCriticSpec& spec, const SacOptions& options) {
  if (spec.obs_dim < 1 || spec.action_dim < 1 || !AreWidths(spec.hidden)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "actor-critic: expected at least 1 observation, action and hidden unit in each layer, got ",
        spec.obs_dim, ", ", spec.action_dim, ", [", JoinInts(spec.hidden), "]"));
  }
  if (!(options.lr > 0) || !(options.temperature_lr >= 0) || !(options.initial_temperature > 0) ||
      !(options.tau > 0 && options.tau <= 1) || !(options.discount >= 0 && options.discount <= 1) ||
      !std::isfinite(options.target_entropy)) {
    return absl::InvalidArgumentError(
        "sac: expected lr > 0, temperature_lr >= 0, initial_temperature > 0, 0 < tau <= 1, "
        "0 <= discount <= 1 and a finite target_entropy");
  }
  return absl::OkStatus();
}

absl::Status NoCritics() {
  return absl::FailedPreconditionError("actor-critic: only its actor was imported");
}

}  // namespace

void Temperature::Update(double mean_log_prob, const SacOptions& options, int64_t step) {
  if (options.temperature_lr == 0) return;
  const AdamOptions adam;
  const double gradient = -(mean_log_prob + options.target_entropy);
  first = adam.beta1 * first + (1 - adam.beta1) * gradient;
  second = adam.beta2 * second + (1 - adam.beta2) * gradient * gradient;
  const double t = static_cast<double>(step);
  const double denominator = std::sqrt(second / (1 - std::pow(adam.beta2, t))) + adam.epsilon;
  log_value -= options.temperature_lr * first / (1 - std::pow(adam.beta1, t)) / denominator;
}

FlatActorCritic::FlatActorCritic(const ActorCriticSpec& spec, const SacOptions& options,
                                 int64_t align, std::optional<uint64_t> seed)
    : spec_(spec),
      options_(options),
      actor_layout_(ParameterLayout::Mlp(align, spec.obs_dim, spec.hidden, 2 * spec.action_dim)),
      critic_layout_(ParameterLayout::Mlp(align, spec.obs_dim + spec.action_dim, spec.hidden, 1)),
      noise_(StreamSeed(seed.value_or(0), "sac_noise")) {
  temperature_.log_value = std::log(options.initial_temperature);
}

void FlatActorCritic::InitialiseFrom(std::optional<uint64_t> seed) {
  if (!seed.has_value()) return;
  Rng rng(*seed, "actor_critic_weights");
  WriteCompact(Buffer::kActor, Initialise(actor_layout_, 1, XavierUniform, rng));
  const std::vector<float> critic = Initialise(critic_layout_, 2, XavierUniform, rng);
  WriteCompact(Buffer::kCritic, critic);
  WriteCompact(Buffer::kTarget, critic);
  has_critics_ = true;
}

const ParameterLayout& FlatActorCritic::LayoutOf(Buffer buffer) const {
  return buffer <= Buffer::kActorSecond ? actor_layout_ : critic_layout_;
}

int64_t FlatActorCritic::NetworksOf(Buffer buffer) const {
  return buffer <= Buffer::kActorSecond ? 1 : 2;
}

std::vector<float> FlatActorCritic::ReadCompact(Buffer buffer) const {
  return Compact(LayoutOf(buffer), NetworksOf(buffer), Read(buffer));
}

void FlatActorCritic::WriteCompact(Buffer buffer, std::span<const float> compact) {
  std::vector<float> flat(NetworksOf(buffer) * LayoutOf(buffer).size());
  Expand(LayoutOf(buffer), NetworksOf(buffer), compact, flat);
  Write(buffer, flat);
}

double FlatActorCritic::temperature() const { return std::exp(temperature_.log_value); }

absl::Status FlatActorCritic::CheckBatch(const SacBatch& batch) const {
  if (!has_critics_) return NoCritics();
  if (batch.rows < 1) return absl::InvalidArgumentError("actor-critic: expected at least one row");
  const size_t rows = static_cast<size_t>(batch.rows);
  const size_t obs = rows * spec_.obs_dim;
  const size_t act = rows * spec_.action_dim;
  TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic observations", obs, batch.observations.size()));
  TANDEM_RETURN_IF_ERROR(
      CheckCount("actor-critic next observations", obs, batch.next_observations.size()));
  TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic actions", act, batch.actions.size()));
  TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic rewards", rows, batch.rewards.size()));
  return CheckCount("actor-critic terminated", rows, batch.terminated.size());
}

absl::Status FlatActorCritic::CheckAct(std::span<const float> observations,
                                       std::span<const float> noise, std::span<float> actions,
                                       std::span<float> log_probs) const {
  const size_t rows = observations.size() / spec_.obs_dim;
  const size_t act = rows * spec_.action_dim;
  TANDEM_RETURN_IF_ERROR(
      CheckCount("actor-critic observations", rows * spec_.obs_dim, observations.size()));
  TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic actions", act, actions.size()));
  if (!noise.empty()) {
    TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic noise", act, noise.size()));
  }
  if (!log_probs.empty()) {
    TANDEM_RETURN_IF_ERROR(CheckCount("actor-critic log probabilities", rows, log_probs.size()));
  }
  return absl::OkStatus();
}

absl::Status FlatActorCritic::CheckValue(std::span<const float> observations,
                                         std::span<const float> actions,
                                         std::span<float> values) const {
  if (!has_critics_) return NoCritics();
  TANDEM_RETURN_IF_ERROR(
      CheckCount("actor-critic observations", values.size() * spec_.obs_dim, observations.size()));
  return CheckCount("actor-critic actions", values.size() * spec_.action_dim, actions.size());
}

void FlatActorCritic::ExportParameters(TensorFile* file) const {
  ExportTensors(actor_layout_, 1, /*leading=*/false, Read(Buffer::kActor), "actor.", file);
  ExportTensors(critic_layout_, 2, /*leading=*/true, Read(Buffer::kCritic), "critic.", file);
  ExportTensors(critic_layout_, 2, /*leading=*/true, Read(Buffer::kTarget), "target.", file);
}

absl::Status FlatActorCritic::ImportParameters(const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> actor,
                          ImportTensors(actor_layout_, 1, /*leading=*/false, "actor.", file));
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> critic,
                          ImportTensors(critic_layout_, 2, /*leading=*/true, "critic.", file));
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> target,
                          ImportTensors(critic_layout_, 2, /*leading=*/true, "target.", file));
  Write(Buffer::kActor, actor);
  Write(Buffer::kCritic, critic);
  Write(Buffer::kTarget, target);
  has_critics_ = true;
  return absl::OkStatus();
}

absl::Status FlatActorCritic::ImportActor(const TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::vector<float> actor,
                          ImportTensors(actor_layout_, 1, /*leading=*/false, "actor.", file));
  Write(Buffer::kActor, actor);
  return absl::OkStatus();
}

void FlatActorCritic::ExportLearnerState(TensorFile* file) const {
  const auto put = [&](const char* name, Buffer buffer) {
    file->tensors[name] = {{NetworksOf(buffer), LayoutOf(buffer).count()}, ReadCompact(buffer)};
  };
  put("actor.adam_m", Buffer::kActorFirst);
  put("actor.adam_v", Buffer::kActorSecond);
  put("critic.adam_m", Buffer::kCriticFirst);
  put("critic.adam_v", Buffer::kCriticSecond);
  // Doubles, bit for bit, as pairs of floats would not be: decimal digits that read back exactly.
  const auto exact = [](double x) { return absl::StrCat(std::bit_cast<uint64_t>(x)); };
  file->metadata[std::string(kTemperature) + ".log"] = exact(temperature_.log_value);
  file->metadata[std::string(kTemperature) + ".adam_m"] = exact(temperature_.first);
  file->metadata[std::string(kTemperature) + ".adam_v"] = exact(temperature_.second);
  PutInt(file, kUpdates, updates_);
  noise_.Save(kNoise, file);
}

absl::Status FlatActorCritic::ImportLearnerState(const TensorFile& file) {
  const auto find = [&](const char* name, Buffer buffer) -> absl::StatusOr<std::vector<float>> {
    TANDEM_ASSIGN_OR_RETURN(const NamedTensor* tensor,
                            FindTensor(file, name, {NetworksOf(buffer), LayoutOf(buffer).count()}));
    return tensor->data;
  };
  const auto exact = [&](const char* suffix) -> absl::StatusOr<double> {
    const std::string key = std::string(kTemperature) + suffix;
    TANDEM_ASSIGN_OR_RETURN(const std::string text, FindText(file, key));
    uint64_t bits = 0;
    if (!absl::SimpleAtoi(text, &bits) || !std::isfinite(std::bit_cast<double>(bits))) {
      return absl::InvalidArgumentError(absl::StrCat("metadata \"", key, "\": bad value"));
    }
    return std::bit_cast<double>(bits);
  };
  TANDEM_ASSIGN_OR_RETURN(const auto actor_first, find("actor.adam_m", Buffer::kActorFirst));
  TANDEM_ASSIGN_OR_RETURN(const auto actor_second, find("actor.adam_v", Buffer::kActorSecond));
  TANDEM_ASSIGN_OR_RETURN(const auto critic_first, find("critic.adam_m", Buffer::kCriticFirst));
  TANDEM_ASSIGN_OR_RETURN(const auto critic_second, find("critic.adam_v", Buffer::kCriticSecond));
  Temperature temperature;
  TANDEM_ASSIGN_OR_RETURN(temperature.log_value, exact(".log"));
  TANDEM_ASSIGN_OR_RETURN(temperature.first, exact(".adam_m"));
  TANDEM_ASSIGN_OR_RETURN(temperature.second, exact(".adam_v"));
  TANDEM_ASSIGN_OR_RETURN(const int64_t updates, FindInt(file, kUpdates));
  TANDEM_RETURN_IF_ERROR(noise_.Load(kNoise, file));
  WriteCompact(Buffer::kActorFirst, actor_first);
  WriteCompact(Buffer::kActorSecond, actor_second);
  WriteCompact(Buffer::kCriticFirst, critic_first);
  WriteCompact(Buffer::kCriticSecond, critic_second);
  temperature_ = temperature;
  updates_ = updates;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ActorCritic>> ActorCritic::Create(const ActorCriticSpec& spec,
                                                                 const SacOptions& options,
                                                                 const std::string& device,
                                                                 std::optional<uint64_t> seed) {
  TANDEM_RETURN_IF_ERROR(Check(spec, options));
  std::string resolved;
  TANDEM_RETURN_IF_ERROR(ResolveDevice(device, &resolved));
  std::unique_ptr<ActorCritic> made;
  TANDEM_RETURN_IF_ERROR(TryTorch([&] {
    made = resolved == "cpu" ? MakeExplicitActorCritic(spec, options, seed)
                             : MakeAutogradActorCritic(spec, options, resolved, seed);
    return absl::OkStatus();
  }));
  return made;
}

}  // namespace tandem::nn
