#pragma once

#include <grpcpp/grpcpp.h>

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/rpc/live_calls.h"
#include "common/rpc/status.h"

namespace tandem::rpc {

/// What Next() says of the message that it was asked for.
enum class Pull {
  kSend,  ///< The message is filled: send it.
  kWait,  ///< Nothing to send now: Wake() asks again.
};

/// Server side of a call that streams messages to the client, pulled by the wire: the next message
/// is made only when the one before has left, so a slow client costs one message of memory and
/// holds up nobody. Ends by an error of Next(), by the client, or by LiveCallSet::CancelAll().
///
///   class Tail : public PullStream<TailResponse> {
///    public:
///     Tail(Core* core, Executor& executor, LiveCallSet& live)
///         : PullStream(executor, live), core_(core), id_(core->Subscribe([this] { Wake(); })) {}
///     ~Tail() override { core_->Unsubscribe(id_); }  // no Wake() from here on
///    private:
///     absl::StatusOr<Pull> Next(TailResponse& message) override {...}
///   };
///   grpc::ServerWriteReactor<TailResponse>* Service::Tail(context, request) {
///     return (new class Tail(core_, executor_, live_))->Begin();
///   }
///
/// Owns itself: gRPC's OnDone deletes it. Thread-safe towards gRPC, Wake() and Cancel(); Next()
/// runs on one thread of `executor` at a time. `executor` and `live` outlive the gRPC server.
///
/// Base is the reactor of gRPC that it extends: with ServerBidiReactor the subclass also starts
/// reads, the first before Begin() and each later one from OnReadDone(), where it may Wake().
template <typename Response, typename Base = grpc::ServerWriteReactor<Response>>
class PullStream : public Base, private LiveCall {
 public:
  /// Call once, when the subclass is whole; return the result to gRPC. The client gets the initial
  /// metadata at once, so that it knows the connection stands.
  PullStream* Begin() {
    this->StartSendInitialMetadata();
    if (!live_.Add(this)) Cancel();
    Pump();
    return this;
  }

  /// Asks Next() again, now or when its present call returns. Cheap; never blocks; harmless before
  /// Begin(). The caller sees to it that no call comes after the subclass's destructor has begun.
  void Wake() {
    {
      MutexLock lock(mu_);
      woken_ = true;
      if (busy_ || finished_) return;
      busy_ = true;
    }
    Pump();
  }

 protected:
  PullStream(Executor& executor, LiveCallSet& live) : executor_(executor), live_(live) {}
  ~PullStream() override = default;

  /// Fills `message`, which is empty (its memory is kept for reuse), or says that there is nothing
  /// now. An error ends the stream with that status.
  virtual absl::StatusOr<Pull> Next(Response& message) = 0;

  /// For Next(): ends the stream with OK once what was sent has left.
  void End() {
    MutexLock lock(mu_);
    if (!end_) end_ = grpc::Status::OK;
  }

 private:
  void Cancel() override {
    FinishSoon(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is shutting down"));
  }
  void OnCancel() override { FinishSoon(grpc::Status::CANCELLED); }
  void OnDone() override {
    live_.Remove(this);
    delete this;
  }
  void OnWriteDone(bool ok) override {
    if (!ok) FinishSoon(grpc::Status::CANCELLED);
    Pump();
  }

  /// Ends the stream now if nothing goes on, else when that is through. The first status counts.
  void FinishSoon(grpc::Status status) {
    {
      MutexLock lock(mu_);
      if (!end_) end_ = std::move(status);
      if (busy_ || finished_) return;
      busy_ = true;
    }
    FinishIfEnding();
  }

  /// Whoever set busy_ owns the reactor: it alone starts a write or finishes.
  void Pump() {
    if (FinishIfEnding()) return;
    if (executor_.Submit([this] { RunNext(); })) return;
    FinishNow(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "busy; try again in 100 ms"));
  }

  void RunNext() {
    for (;;) {
      {
        MutexLock lock(mu_);
        woken_ = false;
      }
      if (FinishIfEnding()) return;
      message_.Clear();
      const absl::StatusOr<Pull> pull = Next(message_);
      if (!pull.ok()) return FinishNow(ToGrpc(pull.status()));
      if (*pull == Pull::kSend) return this->StartWrite(&message_);
      MutexLock lock(mu_);
      if (woken_ || end_) continue;
      busy_ = false;
      return;
    }
  }

  bool FinishIfEnding() {
    grpc::Status status;
    {
      MutexLock lock(mu_);
      if (!end_) return false;
      status = *end_;
    }
    FinishNow(status);
    return true;
  }

  void FinishNow(const grpc::Status& status) {
    {
      MutexLock lock(mu_);
      finished_ = true;
    }
    this->Finish(status);
  }

  Executor& executor_;
  LiveCallSet& live_;
  Response message_;
  Mutex mu_;
  // Next() runs or is queued, or a write is in flight, or Begin() has not been called.
  bool busy_ ABSL_GUARDED_BY(mu_) = true;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;     // Wake() came since Next() was last called
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // Finish() was called; busy_ stays true
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mu_);  // how to end, once known
};

}  // namespace tandem::rpc
