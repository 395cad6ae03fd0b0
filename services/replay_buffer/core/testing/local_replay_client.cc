#include "services/replay_buffer/core/testing/local_replay_client.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "services/replay_buffer/core/slicing.h"

namespace tandem {
namespace {

using Time = std::chrono::steady_clock::time_point;

constexpr int64_t kMaxCredit = 64;
constexpr int64_t kTailBytes = 1 << 20;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

Time After(absl::Duration wait) {
  return std::chrono::steady_clock::now() +
         absl::ToChronoNanoseconds(std::clamp(wait, absl::ZeroDuration(), absl::Hours(1000)));
}

/// Lets Stop() end every wait of a client and its streams.
struct StopSwitch {
  Mutex mu;
  CondVar changed;
  bool stopped ABSL_GUARDED_BY(mu) = false;

  bool IsStopped() {
    MutexLock lock(mu);
    return stopped;
  }
};

absl::Status Stopped() { return absl::CancelledError("the replay client was stopped"); }

/// Waits until the buffer is newer than the two ends, the client is stopped, or `deadline` has
/// passed. False: the deadline has passed.
bool WaitForNews(ReplayBuffer& buffer, const std::shared_ptr<StopSwitch>& stop, int64_t index,
                 int64_t episode, Time deadline) {
  const auto woken = std::make_shared<bool>(false);
  const Ticket ticket = buffer.NewTicket();
  buffer.WhenNewer(ticket, index, episode, [stop, woken] {
    MutexLock lock(stop->mu);
    *woken = true;
    stop->changed.NotifyAll();
  });
  bool in_time = true;
  {
    MutexLock lock(stop->mu);
    while (!*woken && !stop->stopped && in_time) {
      in_time = stop->changed.WaitUntil(stop->mu, deadline);
    }
  }
  buffer.CancelWake(ticket);
  return in_time;
}

class LocalSampleStream : public SampleStream {
 public:
  LocalSampleStream(ReplayBuffer& buffer, std::shared_ptr<StopSwitch> stop, const SampleSpec& spec)
      : buffer_(buffer), stop_(std::move(stop)), spec_(spec) {}

  absl::Status Request(int64_t batches, int64_t through_index) override {
    if (batches < 0 || static_cast<int64_t>(credit_.size()) + batches > kMaxCredit) {
      return absl::ResourceExhaustedError(absl::StrCat("sample: expected at most ", kMaxCredit,
                                                       " batches outstanding, got ", credit_.size(),
                                                       " and ", batches, " more"));
    }
    credit_.insert(credit_.end(), static_cast<size_t>(batches), through_index);
    return absl::OkStatus();
  }

  absl::StatusOr<SampledBatch> Receive(absl::Duration timeout) override {
    const Time deadline = After(timeout);
    while (!credit_.empty()) {
      if (stop_->IsStopped()) return Stopped();
      const int64_t end = buffer_.end_index();
      auto batch = buffer_.Sample(spec_, next_batch_, credit_.front());
      if (!batch.ok()) return batch.status();
      if (batch->has_value()) {
        credit_.pop_front();
        ++next_batch_;
        return **std::move(batch);
      }
      if (!WaitForNews(buffer_, stop_, end, kNever, deadline)) break;
    }
    return absl::DeadlineExceededError(credit_.empty() ? "sample: no batch was requested"
                                                       : "sample: the steps have not come yet");
  }

 private:
  ReplayBuffer& buffer_;
  const std::shared_ptr<StopSwitch> stop_;
  const SampleSpec spec_;
  std::deque<int64_t> credit_;  ///< The bound of each batch requested and not received.
  int64_t next_batch_ = 0;
};

class LocalTailStream : public TailStream {
 public:
  LocalTailStream(ReplayBuffer& buffer, std::shared_ptr<StopSwitch> stop,
                  const TailRequest& request)
      : buffer_(buffer), stop_(std::move(stop)), cursor_(request) {}

  absl::StatusOr<TailChunk> Receive(absl::Duration timeout) override {
    const Time deadline = After(timeout);
    while (true) {
      if (stop_->IsStopped()) return Stopped();
      if (cursor_.through_index > 0 && cursor_.from_index >= cursor_.through_index) {
        return absl::OutOfRangeError("tail: all steps below through_index were sent");
      }
      auto chunk = buffer_.ReadTail(cursor_, kTailBytes);
      if (!chunk.ok()) return chunk.status();
      if (chunk->next_index > cursor_.from_index || !chunk->episodes.empty()) {
        cursor_.from_index = chunk->next_index;
        cursor_.from_episode = chunk->next_episode;
        return chunk;
      }
      const int64_t episode = cursor_.from_episode < 0 ? kNever : cursor_.from_episode;
      if (!WaitForNews(buffer_, stop_, cursor_.from_index, episode, deadline)) {
        return absl::DeadlineExceededError("tail: no new steps");
      }
    }
  }

 private:
  ReplayBuffer& buffer_;
  const std::shared_ptr<StopSwitch> stop_;
  TailRequest cursor_;
};

class LocalReplayClient : public ReplayClient {
 public:
  explicit LocalReplayClient(ReplayBuffer& buffer)
      : buffer_(buffer), stop_(std::make_shared<StopSwitch>()) {}
  ~LocalReplayClient() override { LocalReplayClient::Stop(); }

  absl::StatusOr<WriterSession> OpenWriter(const std::string& writer,
                                           const EnvironmentSpec& spec) override {
    if (stop_->IsStopped()) return Stopped();
    return buffer_.OpenWriter(writer, spec);
  }

  absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch, uint64_t sequence,
                                      const std::vector<Segment>& segments,
                                      const std::vector<Episode>& episodes) override {
    if (stop_->IsStopped()) return Stopped();
    return buffer_.Append(writer, epoch, sequence, segments, episodes);
  }

  absl::StatusOr<Grant> Advance(const Progress& progress, absl::Duration wait) override {
    const auto answer = std::make_shared<std::optional<absl::StatusOr<Grant>>>();
    const Ticket ticket = buffer_.NewTicket();
    if (stop_->IsStopped()) return Stopped();
    buffer_.Advance(ticket, progress, wait, [stop = stop_, answer](absl::StatusOr<Grant> grant) {
      MutexLock lock(stop->mu);
      *answer = std::move(grant);
      stop->changed.NotifyAll();
    });
    {
      MutexLock lock(stop_->mu);
      while (!answer->has_value() && !stop_->stopped) stop_->changed.Wait(stop_->mu);
      if (answer->has_value()) return **std::move(answer);
    }
    buffer_.CancelAdvance(ticket);
    return Stopped();
  }

  absl::StatusOr<ReplayStatus> GetStatus() override {
    if (stop_->IsStopped()) return Stopped();
    return buffer_.GetStatus();
  }

  absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(const SampleSpec& spec) override {
    if (stop_->IsStopped()) return Stopped();
    if (auto status = Validate(spec); !status.ok()) return status;
    return std::make_unique<LocalSampleStream>(buffer_, stop_, spec);
  }

  absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(const TailRequest& request) override {
    if (stop_->IsStopped()) return Stopped();
    return std::make_unique<LocalTailStream>(buffer_, stop_, request);
  }

  void Stop() override {
    MutexLock lock(stop_->mu);
    stop_->stopped = true;
    stop_->changed.NotifyAll();
  }

 private:
  ReplayBuffer& buffer_;
  const std::shared_ptr<StopSwitch> stop_;
};

}  // namespace

std::unique_ptr<ReplayClient> MakeLocalReplayClient(ReplayBuffer& buffer) {
  return std::make_unique<LocalReplayClient>(buffer);
}

}  // namespace tandem
