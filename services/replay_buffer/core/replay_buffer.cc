#include "services/replay_buffer/core/replay_buffer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "services/replay_buffer/core/slicing.h"

namespace tandem {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kEpisodesKept = 10'000;
constexpr size_t kMaxWriters = 4096;
constexpr int64_t kMaxRowBytes = 512 << 10;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

absl::Status CheckName(const char* what, const std::string& name) {
  if (!name.empty() && name.size() <= 128) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": expected a name of 1 to 128 characters, got ", name.size()));
}

absl::Status CheckSpec(const EnvironmentSpec& spec) {
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  const int64_t bytes =
      BytesPerRow({.kind = SampleKind::kTransitions}, spec.observation.dim(), spec.action.dim());
  if (bytes <= kMaxRowBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "environment spec: expected at most 512 KiB a transition, got ", bytes, " bytes"));
}

/// Beyond any run; keeps the pace's products of counters within 64 bits.
constexpr int64_t kMostPolicyUpdates = int64_t{1} << 48;
constexpr double kLeastRate = 1e-3;  // of updates for each step
constexpr double kMostRate = 1e6;

absl::Status CheckProgress(const Progress& p) {
  TANDEM_RETURN_IF_ERROR(CheckName("progress: member", p.member));
  if (p.role < Role::kActor || p.role > Role::kMonitor) {
    return absl::InvalidArgumentError(
        absl::StrCat("progress: role: expected actor (1), model trainer (2), policy trainer (3) or "
                     "monitor (4), got ",
                     static_cast<int>(p.role)));
  }
  for (const auto& [field, value] : {std::pair<const char*, int64_t>{"wanted", p.wanted},
                                     {"policy_updates", p.policy_updates},
                                     {"model_through_index", p.model_through_index},
                                     {"held_policy_updates", p.held_policy_updates},
                                     {"judged_through_index", p.judged_through_index},
                                     {"directive_version", p.directive_version},
                                     {"fitted_through_index", p.fitted_through_index}}) {
    if (value < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("progress: ", field, ": expected >= 0, got ", value));
    }
  }
  if (p.policy_updates > kMostPolicyUpdates) {
    return absl::InvalidArgumentError(absl::StrCat("progress: policy_updates: expected at most ",
                                                   kMostPolicyUpdates, ", got ", p.policy_updates));
  }
  const double rate = p.updates_per_step;
  if (p.role == Role::kMonitor && !(rate <= 0 || (rate >= kLeastRate && rate <= kMostRate))) {
    return absl::InvalidArgumentError(absl::StrCat("progress: updates_per_step: expected ",
                                                   kLeastRate, " to ", kMostRate,
                                                   ", or no positive number, got ", rate));
  }
  return absl::OkStatus();
}

void Run(Completions& completions) {
  for (auto& completion : completions) completion();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplayBuffer>> ReplayBuffer::Create(const Options& options,
                                                                   metrics::Registry& registry) {
  TANDEM_RETURN_IF_ERROR(Validate(options.pace));
  if (options.capacity < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("replay.capacity: expected at least 1, got ", options.capacity));
  }
  if (!(options.holdout_fraction >= 0 && options.holdout_fraction <= 0.5)) {
    return absl::InvalidArgumentError(
        absl::StrCat("replay.holdout_fraction: expected 0 to 0.5, got ", options.holdout_fraction));
  }
  return std::unique_ptr<ReplayBuffer>(new ReplayBuffer(options, registry));
}

ReplayBuffer::ReplayBuffer(const Options& options, metrics::Registry& registry)
    : options_(options),
      metrics_(registry),
      episodes_(kEpisodesKept),
      desk_(options.pace,
            {.monitor_silence = absl::ToChronoNanoseconds(options.monitor_silence),
             .monitor_ttl = absl::ToChronoNanoseconds(options.monitor_ttl)},
            index_, metrics_) {
  MutexLock lock(mu_);
  UpdateGauges();
  timer_ = std::thread([this] { RunTimer(); });
}

ReplayBuffer::~ReplayBuffer() { Stop(); }

void ReplayBuffer::Stop() {
  Completions completions;
  std::thread timer;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    desk_.FailAll(absl::UnavailableError("the replay buffer is shutting down"), &completions);
    CollectWakes(&completions);
    timer_wake_.NotifyAll();
    timer = std::move(timer_);
  }
  Run(completions);
  if (timer.joinable()) timer.join();
}

absl::Status ReplayBuffer::CheckRunning() const {
  return stopped_ ? absl::UnavailableError("the replay buffer is shutting down") : absl::OkStatus();
}

absl::StatusOr<WriterSession> ReplayBuffer::OpenWriter(const std::string& writer,
                                                       const EnvironmentSpec& spec) {
  TANDEM_RETURN_IF_ERROR(CheckName("writer", writer));
  TANDEM_RETURN_IF_ERROR(CheckSpec(spec));
  Completions completions;
  WriterSession session;
  {
    MutexLock lock(mu_);
    TANDEM_RETURN_IF_ERROR(CheckRunning());
    if (spec_ != nullptr && *spec_ != spec) {
      return absl::FailedPreconditionError(
          absl::StrCat("writer ", writer, ": expected the environment of the first writer, ",
                       spec_->name, ", got another: ", FirstDifference(*spec_, spec)));
    }
    if (!writers_.contains(writer) && writers_.size() >= kMaxWriters) {
      return absl::ResourceExhaustedError(
          absl::StrCat("writer ", writer, ": expected at most ", kMaxWriters, " writers"));
    }
    if (spec_ == nullptr) {
      spec_ = std::make_shared<const EnvironmentSpec>(spec);
      store_ =
          std::make_unique<StepStore>(options_.capacity, spec.observation.dim(), spec.action.dim());
    }
    Writer& entry = writers_[writer];
    CloseOpenEpisodes(&entry);
    entry.epoch = (options_.incarnation << 32) + ++epochs_;
    entry.last_sequence = 0;
    desk_.pace().Release(writer);
    desk_.Reconsider(Clock::now(), &completions);
    CollectWakes(&completions);
    UpdateGauges();
    session = {entry.epoch, store_->end_index(), index_.training_steps()};
  }
  Run(completions);
  return session;
}

void ReplayBuffer::CloseOpenEpisodes(Writer* writer) {
  for (const auto& [id, open] : writer->open) {
    store_->MarkTruncated(open.last_index);
    if (open.purpose != Purpose::kTraining) continue;
    Episode episode;
    episode.episode_id = id;
    episode.episode_return = open.episode_return;
    episode.length = open.next_t;
    episode.failure = "writer_restarted";
    episode.policy_version = open.policy_version;
    episode.initial_observation = open.initial_observation;
    StoreEpisode("", std::move(episode));
  }
  writer->open.clear();
}

void ReplayBuffer::CloseFailed(Writer* writer, const Episode& episode) {
  const auto it = writer->open.find(episode.episode_id);
  if (it == writer->open.end()) return;
  store_->MarkTruncated(it->second.last_index);
  writer->open.erase(it);
}

absl::StatusOr<AppendResult> ReplayBuffer::Append(const std::string& writer, uint64_t epoch,
                                                  uint64_t sequence,
                                                  const std::vector<Segment>& segments,
                                                  const std::vector<Episode>& episodes) {
  const auto start = Clock::now();
  Completions completions;
  absl::StatusOr<AppendResult> result =
      TryAppend(writer, epoch, sequence, segments, episodes, &completions);
  Run(completions);
  if (result.ok()) {
    metrics_.append_seconds.Observe(Seconds(Clock::now() - start));
  } else {
    metrics_.Rejected(result.status());
  }
  return result;
}

absl::StatusOr<AppendResult> ReplayBuffer::TryAppend(const std::string& name, uint64_t epoch,
                                                     uint64_t sequence,
                                                     const std::vector<Segment>& segments,
                                                     const std::vector<Episode>& episodes,
                                                     Completions* out) {
  std::shared_ptr<const EnvironmentSpec> spec;
  {
    MutexLock lock(mu_);
    spec = spec_;
  }
  if (spec == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("append of ", name, ": expected OpenWriter first"));
  }
  // The content is checked without the lock: that is most of the work.
  for (const Segment& segment : segments) TANDEM_RETURN_IF_ERROR(Validate(segment, *spec));
  for (const Episode& episode : episodes) TANDEM_RETURN_IF_ERROR(Validate(episode, *spec));

  MutexLock lock(mu_);
  TANDEM_RETURN_IF_ERROR(CheckRunning());
  const auto it = writers_.find(name);
  if (it == writers_.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("append of ", name, ": expected OpenWriter first"));
  }
  Writer& writer = it->second;
  TANDEM_ASSIGN_OR_RETURN(const AppendStep step, CheckSequence(writer, name, epoch, sequence));
  if (step == AppendStep::kRepeated) {
    metrics_.repeated.Increment();
    return AppendResult{writer.last_sequence, store_->end_index()};
  }
  TANDEM_RETURN_IF_ERROR(CheckContinuity(writer, *store_, segments, episodes));
  for (const Segment& segment : segments) StoreSegment(name, &writer, segment);
  for (const Episode& episode : episodes) {
    CloseFailed(&writer, episode);
    const bool counts = episode.purpose == Purpose::kTraining || episode.evaluation_size > 0;
    if (counts) StoreEpisode(name, episode);
  }
  writer.last_sequence = sequence;
  metrics_.appends.Increment();
  const auto now = Clock::now();
  desk_.Heard(name, now);
  desk_.Reconsider(now, out);
  CollectWakes(out);
  UpdateGauges();
  return AppendResult{sequence, store_->end_index()};
}

OpenEpisode ReplayBuffer::BeginEpisode(const Segment& segment) {
  OpenEpisode open;
  open.ordinal = begun_episodes_++;
  open.purpose = segment.purpose;
  if (segment.purpose == Purpose::kEvaluation) {
    open.split = Split::kEvaluation;
  } else {
    const bool holdout = IsHoldout(begun_training_episodes_++, options_.holdout_fraction);
    open.split = holdout ? Split::kHoldout : Split::kTrain;
  }
  open.initial_observation.assign(segment.observations.begin(),
                                  segment.observations.begin() + store_->obs_dim());
  return open;
}

void ReplayBuffer::StoreSegment(const std::string& name, Writer* writer, const Segment& segment) {
  auto it = writer->open.find(segment.episode_id);
  if (it == writer->open.end()) {
    it = writer->open.emplace(segment.episode_id, BeginEpisode(segment)).first;
  }
  OpenEpisode& open = it->second;
  const int64_t steps = segment.size();
  open.last_index = store_->Append(segment, open.ordinal, open.split, open.last_index);
  open.next_t += steps;
  open.policy_version = segment.policy_version;
  for (const float reward : segment.rewards) open.episode_return += reward;
  const bool training = open.purpose == Purpose::kTraining;
  index_.Append(steps, training);
  if (training) desk_.pace().StepsStored(name, steps);
  metrics_.steps(open.split).Increment(static_cast<double>(steps));
  if (segment.terminated || segment.truncated) writer->open.erase(it);
}

void ReplayBuffer::StoreEpisode(const std::string& name, Episode episode) {
  episode.env_steps = index_.training_steps();
  metrics_.episodes(episode.purpose).Increment();
  if (episode.purpose == Purpose::kTraining) {
    ++finished_training_episodes_;
    metrics_.episode_return.Set(episode.episode_return);
  } else {
    desk_.pace().EvaluationEpisodeStored(name, episode);
  }
  episodes_.Add(std::move(episode));
}

Ticket ReplayBuffer::NewTicket() {
  MutexLock lock(mu_);
  return next_ticket_++;
}

void ReplayBuffer::Advance(Ticket ticket, const Progress& progress, absl::Duration wait,
                           std::function<void(absl::StatusOr<Grant>)> done) {
  if (auto status = CheckProgress(progress); !status.ok()) return done(status);
  wait = std::clamp(wait, absl::ZeroDuration(), absl::Seconds(10));
  Completions completions;
  absl::Status status;
  {
    MutexLock lock(mu_);
    status = CheckRunning();
    if (status.ok()) {
      const auto now = Clock::now();
      desk_.Advance(ticket, progress, now, now + absl::ToChronoNanoseconds(wait), std::move(done),
                    &completions);
      UpdateGauges();
      timer_wake_.NotifyAll();
    }
  }
  if (!status.ok()) return done(status);
  Run(completions);
}

bool ReplayBuffer::CancelAdvance(Ticket ticket) {
  MutexLock lock(mu_);
  return desk_.Cancel(ticket);
}

void ReplayBuffer::WhenNewer(Ticket ticket, int64_t index, int64_t episode,
                             std::function<void()> wake) {
  Completions completions;
  {
    MutexLock lock(mu_);
    wakes_.push_back({ticket, index, episode, std::move(wake)});
    CollectWakes(&completions);
  }
  Run(completions);
}

bool ReplayBuffer::CancelWake(Ticket ticket) {
  MutexLock lock(mu_);
  return std::erase_if(wakes_, [ticket](const Wake& w) { return w.ticket == ticket; }) > 0;
}

void ReplayBuffer::CollectWakes(Completions* out) {
  const int64_t end = store_ == nullptr ? 0 : store_->end_index();
  const int64_t end_episode = episodes_.end();
  const bool all = stopped_;
  std::erase_if(wakes_, [&](Wake& w) {
    if (!all && end <= w.index && end_episode <= w.episode) return false;
    out->push_back(std::move(w.wake));
    return true;
  });
}

void ReplayBuffer::UpdateGauges() {
  const PacePolicy& pace = desk_.pace();
  metrics_.held_steps.Set(store_ == nullptr ? 0 : static_cast<double>(store_->held(Split::kAll)));
  metrics_.bytes.Set(store_ == nullptr ? 0 : static_cast<double>(store_->bytes()));
  metrics_.env_steps.Set(static_cast<double>(index_.training_steps()));
  metrics_.writers.Set(static_cast<double>(writers_.size()));
  metrics_.policy_updates.Set(static_cast<double>(pace.policy_updates()));
  metrics_.model_env_steps.Set(static_cast<double>(pace.model_steps()));
  metrics_.stopped.Set(pace.stopped() ? 1 : 0);
  for (; evaluations_counted_ < pace.evaluations().size(); ++evaluations_counted_) {
    metrics_.evaluations.Increment();
    metrics_.evaluation_return.Set(pace.evaluations()[evaluations_counted_].mean_return);
  }
}

void ReplayBuffer::RunTimer() {
  const auto timeout = absl::ToChronoNanoseconds(options_.member_timeout);
  mu_.Lock();
  while (!stopped_) {
    timer_wake_.WaitUntil(mu_,
                          std::min(desk_.NextDeadline(), Clock::now() + std::chrono::seconds(1)));
    if (stopped_) break;
    Completions completions;
    const auto now = Clock::now();
    desk_.ForgetSilent(now, timeout);
    desk_.Reconsider(now, &completions);
    UpdateGauges();
    mu_.Unlock();
    Run(completions);
    mu_.Lock();
  }
  mu_.Unlock();
}

}  // namespace tandem
