#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/rpc/call_scope.h"

namespace tandem::clients {

/// Client side of a stream that answers each request once and in order, with one request in flight.
/// It is polled by the thread that waits, so an exchange costs no other thread a wake-up. Deadlines
/// are of the steady clock: setting the system's hangs nothing. Not thread-safe, but calls->Stop()
/// ends a wait from any thread.
template <typename Request, typename Response>
class ExchangeStream {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// prepare(context, queue): the stub's PrepareAsync of the method.
  template <typename Prepare>
  ExchangeStream(std::shared_ptr<rpc::CallSet> calls, const Prepare& prepare)
      : calls_(calls), call_(std::move(calls)) {
    if (!call_.started().ok()) return;
    stream_ = prepare(&call_.context(), &queue_);
    pending_ = kStart;
    stream_->StartCall(Tag(kStart));
  }
  ~ExchangeStream() {
    Abandon();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  ExchangeStream(const ExchangeStream&) = delete;
  ExchangeStream& operator=(const ExchangeStream&) = delete;

  /// Sends `request` and waits for its response. DEADLINE_EXCEEDED where none comes in time; else
  /// the status with which the stream has ended, UNAVAILABLE where the server just ended it;
  /// DATA_LOSS where it goes on, so that what came is no such message. The stream is of no more use
  /// after an error.
  absl::Status Exchange(const Request& request, Response* response, TimePoint deadline) {
    TANDEM_RETURN_IF_ERROR(Begin(request, response, deadline));
    return End(deadline);
  }
  /// Its first half: waits for no answer, so that many streams can be under way at a time. Both
  /// messages must live until End.
  absl::Status Begin(const Request& request, Response* response, TimePoint deadline) {
    TANDEM_RETURN_IF_ERROR(call_.started());
    if (!Await(kStart, deadline)) return GiveUp();
    if (failed_) return Ending();
    pending_ |= kWrite | kRead;
    stream_->Write(request, Tag(kWrite));
    stream_->Read(response, Tag(kRead));
    return absl::OkStatus();
  }
  /// Its second half.
  absl::Status End(TimePoint deadline) {
    if (!Await(kWrite | kRead, deadline)) return GiveUp();
    return failed_ ? Ending() : absl::OkStatus();
  }

 private:
  enum Operation : uintptr_t { kStart = 1, kWrite = 2, kRead = 4, kFinish = 8 };

  static void* Tag(Operation operation) { return reinterpret_cast<void*>(operation); }
  /// A broken stream tells its status at once.
  static TimePoint Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(1); }

  /// Waits until none of `operations` is pending; false after the deadline.
  bool Await(uintptr_t operations, TimePoint deadline) {
    while ((pending_ & operations) != 0) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, ToGpr(deadline)) != grpc::CompletionQueue::GOT_EVENT) {
        return false;
      }
      pending_ &= ~reinterpret_cast<uintptr_t>(tag);
      failed_ = failed_ || !ok;
    }
    return true;
  }
  static gpr_timespec ToGpr(TimePoint deadline) {
    if (deadline == TimePoint::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    const auto left = std::chrono::nanoseconds(deadline - std::chrono::steady_clock::now());
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
  }
  /// Cancels the call and waits until gRPC lets go of its messages: at once.
  void Abandon() {
    call_.context().TryCancel();
    Await(~uintptr_t{0}, TimePoint::max());
  }
  absl::Status GiveUp() {
    Abandon();
    if (calls_->stopped()) return calls_->Cancelled();
    return absl::DeadlineExceededError(absl::StrCat(calls_->peer(), ": no answer in time"));
  }
  absl::Status Ending() {
    if (!Await(kStart | kWrite | kRead, Soon())) Abandon();
    grpc::Status status;
    pending_ |= kFinish;
    stream_->Finish(&status, Tag(kFinish));
    if (!Await(kFinish, Soon())) {
      Abandon();
      if (calls_->stopped()) return calls_->Cancelled();
      return absl::DataLossError(absl::StrCat(calls_->peer(), ": an answer that cannot be read"));
    }
    const absl::Status ending = calls_->Explain(status);
    if (!ending.ok()) return ending;
    return absl::UnavailableError(absl::StrCat(calls_->peer(), ": the server ended the stream"));
  }

  const std::shared_ptr<rpc::CallSet> calls_;
  rpc::CallScope call_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<Request, Response>> stream_;
  uintptr_t pending_ = 0;
  bool failed_ = false;
};

}  // namespace tandem::clients
