#include "common/clients/testing/fake_replay_client.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/rng.h"

namespace tandem {

struct FakeReplayClient::State {
  mutable Mutex mu;
  CondVar changed;
  std::optional<EnvironmentSpec> spec ABSL_GUARDED_BY(mu);
  TransitionBatch steps ABSL_GUARDED_BY(mu);
  std::vector<Episode> episodes ABSL_GUARDED_BY(mu);
  std::deque<Grant> grants ABSL_GUARDED_BY(mu);
  bool stop_when_out ABSL_GUARDED_BY(mu) = false;
  absl::Status failure ABSL_GUARDED_BY(mu);
  int failures_left ABSL_GUARDED_BY(mu) = 0;
  std::map<std::string, int> calls ABSL_GUARDED_BY(mu);
  std::map<std::string, uint64_t> epochs ABSL_GUARDED_BY(mu);
  std::map<std::string, uint64_t> sequences ABSL_GUARDED_BY(mu);
  std::vector<Appended> appended ABSL_GUARDED_BY(mu);
  std::vector<Progress> progress ABSL_GUARDED_BY(mu);
  int64_t stored_steps ABSL_GUARDED_BY(mu) = 0;
  bool stopped ABSL_GUARDED_BY(mu) = false;
};

namespace {

using State = FakeReplayClient::State;

std::chrono::steady_clock::time_point After(absl::Duration wait) {
  return std::chrono::steady_clock::now() +
         absl::ToChronoNanoseconds(std::max(wait, absl::ZeroDuration()));
}

std::vector<int64_t> Matching(const TransitionBatch& steps, Split split, int64_t through) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < steps.size(); ++i) {
    const bool below = through == 0 || i < through;
    const bool in_split = split == Split::kAll || steps.splits[i] == static_cast<uint8_t>(split);
    if (below && in_split) rows.push_back(i);
  }
  return rows;
}

class FakeSampleStream : public SampleStream {
 public:
  FakeSampleStream(std::shared_ptr<State> state, SampleSpec spec)
      : state_(std::move(state)), spec_(spec) {}

  absl::Status Request(int64_t batches, int64_t through_index) override {
    for (int64_t i = 0; i < batches; ++i) bounds_.push_back(through_index);
    return absl::OkStatus();
  }

  absl::StatusOr<SampledBatch> Receive(absl::Duration) override {
    MutexLock lock(state_->mu);
    if (state_->stopped) return absl::CancelledError("the client was stopped");
    if (bounds_.empty()) return absl::DeadlineExceededError("no credit");
    const auto rows = Matching(state_->steps, spec_.split, bounds_.front());
    if (rows.empty()) return absl::DeadlineExceededError("no steps to sample");
    if (spec_.kind == SampleKind::kSequences) {
      return absl::UnimplementedError("FakeReplayClient samples no sequences");
    }
    SampledBatch batch;
    batch.through_index = bounds_.front() > 0 ? bounds_.front() : state_->steps.size();
    Rng rng(StreamSeed(spec_.seed, absl::StrCat("fake/", next_batch_)));
    for (int64_t i = 0; i < spec_.batch_size; ++i) {
      const int64_t row = rows[rng.Below(rows.size())];
      batch.transitions.Append(state_->steps, row, row + 1);
    }
    if (spec_.kind == SampleKind::kStartStates) {
      TransitionBatch only;
      only.obs_dim = batch.transitions.obs_dim;
      only.observations = std::move(batch.transitions.observations);
      batch.transitions = std::move(only);
    }
    bounds_.pop_front();
    ++next_batch_;
    return batch;
  }

 private:
  const std::shared_ptr<State> state_;
  const SampleSpec spec_;
  std::deque<int64_t> bounds_;
  int64_t next_batch_ = 0;
};

class FakeTailStream : public TailStream {
 public:
  FakeTailStream(std::shared_ptr<State> state, TailRequest request)
      : state_(std::move(state)), request_(request) {}

  absl::StatusOr<TailChunk> Receive(absl::Duration timeout) override {
    const auto deadline = After(timeout);
    MutexLock lock(state_->mu);
    while (true) {
      if (state_->stopped) return absl::CancelledError("the client was stopped");
      if (request_.through_index > 0 && request_.from_index >= request_.through_index) {
        return absl::OutOfRangeError("all steps were sent");
      }
      if (HasNews()) return Take();
      if (!state_->changed.WaitUntil(state_->mu, deadline) && !HasNews()) {
        return absl::DeadlineExceededError("no new steps");
      }
    }
  }

 private:
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mu) {
    return request_.from_index < state_->steps.size() ||
           (request_.from_episode >= 0 &&
            request_.from_episode < static_cast<int64_t>(state_->episodes.size()));
  }

  TailChunk Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mu) {
    TailChunk chunk;
    int64_t end = state_->steps.size();
    if (request_.through_index > 0) end = std::min(end, request_.through_index);
    for (const int64_t row : Matching(state_->steps, request_.split, end)) {
      if (row >= request_.from_index) chunk.transitions.Append(state_->steps, row, row + 1);
    }
    chunk.next_index = std::max(request_.from_index, end);
    request_.from_index = chunk.next_index;
    if (request_.from_episode >= 0) {
      const int64_t count = static_cast<int64_t>(state_->episodes.size());
      for (int64_t i = request_.from_episode; i < count; ++i) {
        chunk.episodes.push_back(state_->episodes[i]);
      }
      request_.from_episode = std::max(request_.from_episode, count);
      chunk.next_episode = request_.from_episode;
    }
    return chunk;
  }

  const std::shared_ptr<State> state_;
  TailRequest request_;
};

}  // namespace

FakeReplayClient::FakeReplayClient() : state_(std::make_shared<State>()) {}
FakeReplayClient::~FakeReplayClient() { Stop(); }

void FakeReplayClient::SetSpec(const EnvironmentSpec& spec) {
  MutexLock lock(state_->mu);
  state_->spec = spec;
}

void FakeReplayClient::AddSteps(TransitionBatch steps) {
  MutexLock lock(state_->mu);
  if (state_->steps.size() == 0) {
    state_->steps.obs_dim = steps.obs_dim;
    state_->steps.action_dim = steps.action_dim;
  }
  steps.indices.resize(steps.size());
  for (int64_t i = 0; i < steps.size(); ++i) steps.indices[i] = state_->steps.size() + i;
  state_->steps.Append(steps);
  state_->changed.NotifyAll();
}

void FakeReplayClient::AddEpisode(const Episode& episode) {
  MutexLock lock(state_->mu);
  state_->episodes.push_back(episode);
  state_->changed.NotifyAll();
}

void FakeReplayClient::AddGrant(const Grant& grant) {
  MutexLock lock(state_->mu);
  state_->grants.push_back(grant);
  state_->changed.NotifyAll();
}

void FakeReplayClient::StopWhenOutOfGrants() {
  MutexLock lock(state_->mu);
  state_->stop_when_out = true;
  state_->changed.NotifyAll();
}

void FakeReplayClient::FailNext(const absl::Status& status, int calls) {
  MutexLock lock(state_->mu);
  state_->failure = status;
  state_->failures_left = calls;
}

int FakeReplayClient::calls(const std::string& method) const {
  MutexLock lock(state_->mu);
  const auto it = state_->calls.find(method);
  return it == state_->calls.end() ? 0 : it->second;
}

std::vector<FakeReplayClient::Appended> FakeReplayClient::appended() const {
  MutexLock lock(state_->mu);
  return state_->appended;
}

std::vector<Progress> FakeReplayClient::progress() const {
  MutexLock lock(state_->mu);
  return state_->progress;
}

absl::Status FakeReplayClient::Enter(const char* method) {
  MutexLock lock(state_->mu);
  ++state_->calls[method];
  if (state_->stopped) return absl::CancelledError("the client was stopped");
  if (state_->failures_left > 0) {
    --state_->failures_left;
    return state_->failure;
  }
  return absl::OkStatus();
}

absl::StatusOr<WriterSession> FakeReplayClient::OpenWriter(const std::string& writer,
                                                           const EnvironmentSpec& spec) {
  if (auto status = Enter("OpenWriter"); !status.ok()) return status;
  MutexLock lock(state_->mu);
  state_->spec = spec;
  state_->sequences[writer] = 0;
  return WriterSession{.epoch = ++state_->epochs[writer],
                       .end_index = state_->stored_steps,
                       .env_steps = state_->stored_steps};
}

absl::StatusOr<AppendResult> FakeReplayClient::Append(const std::string& writer, uint64_t epoch,
                                                      uint64_t sequence,
                                                      const std::vector<Segment>& segments,
                                                      const std::vector<Episode>& episodes) {
  if (auto status = Enter("Append"); !status.ok()) return status;
  MutexLock lock(state_->mu);
  if (state_->epochs[writer] != epoch) return absl::FailedPreconditionError("another epoch");
  uint64_t& last = state_->sequences[writer];
  if (sequence > last + 1) return absl::OutOfRangeError("a gap in the sequence numbers");
  if (sequence == last + 1) {
    last = sequence;
    for (const Segment& segment : segments) state_->stored_steps += segment.size();
    state_->episodes.insert(state_->episodes.end(), episodes.begin(), episodes.end());
    state_->appended.push_back({writer, epoch, sequence, segments, episodes});
    state_->changed.NotifyAll();
  }
  return AppendResult{.acknowledged_sequence = last, .end_index = state_->stored_steps};
}

absl::StatusOr<Grant> FakeReplayClient::Advance(const Progress& progress, absl::Duration wait) {
  if (auto status = Enter("Advance"); !status.ok()) return status;
  const auto deadline = After(wait);
  MutexLock lock(state_->mu);
  state_->progress.push_back(progress);
  while (state_->grants.empty()) {
    if (state_->stopped) return absl::CancelledError("the client was stopped");
    if (state_->stop_when_out) return Grant{.stop = true, .env_steps = state_->stored_steps};
    if (!state_->changed.WaitUntil(state_->mu, deadline) && state_->grants.empty()) {
      return Grant{.waiting_for = "a grant of the test", .env_steps = state_->stored_steps};
    }
  }
  const Grant grant = state_->grants.front();
  state_->grants.pop_front();
  return grant;
}

absl::StatusOr<ReplayStatus> FakeReplayClient::GetStatus() {
  if (auto status = Enter("GetStatus"); !status.ok()) return status;
  MutexLock lock(state_->mu);
  ReplayStatus status;
  status.spec = state_->spec;
  status.end_index = state_->steps.size() + state_->stored_steps;
  status.env_steps = status.end_index;
  status.episodes = static_cast<int64_t>(state_->episodes.size());
  return status;
}

absl::StatusOr<std::unique_ptr<SampleStream>> FakeReplayClient::OpenSample(const SampleSpec& spec) {
  if (auto status = Enter("OpenSample"); !status.ok()) return status;
  return std::make_unique<FakeSampleStream>(state_, spec);
}

absl::StatusOr<std::unique_ptr<TailStream>> FakeReplayClient::OpenTail(const TailRequest& request) {
  if (auto status = Enter("OpenTail"); !status.ok()) return status;
  return std::make_unique<FakeTailStream>(state_, request);
}

void FakeReplayClient::Stop() {
  MutexLock lock(state_->mu);
  state_->stopped = true;
  state_->changed.NotifyAll();
}

}  // namespace tandem
