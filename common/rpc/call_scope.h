#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/rpc/status.h"

namespace tandem::rpc {

/// The calls of a client that are in flight, so that Stop() can cancel them. Thread-safe.
class CallSet {
 public:
  /// peer names the other side in messages, such as "replay_buffer at unix:/x".
  explicit CallSet(std::string peer) : peer_(std::move(peer)) {}

  /// False after Stop().
  bool Add(grpc::ClientContext* context) {
    MutexLock lock(mu_);
    if (!stopped_) contexts_.insert(context);
    return !stopped_;
  }
  void Remove(grpc::ClientContext* context) {
    MutexLock lock(mu_);
    contexts_.erase(context);
  }
  /// Cancels every call in flight and refuses later ones. Does not wait for them.
  void Stop() {
    MutexLock lock(mu_);
    stopped_ = true;
    for (grpc::ClientContext* context : contexts_) context->TryCancel();
  }
  bool stopped() {
    MutexLock lock(mu_);
    return stopped_;
  }
  absl::Status Cancelled() const {
    return absl::CancelledError(absl::StrCat(peer_, ": the client was stopped"));
  }
  /// Names the other side.
  const std::string& peer() const { return peer_; }
  /// The status of a call, with the peer's name. A call that ended as cancelled though nobody here
  /// cancelled it was cut off by the server, and may be tried again.
  absl::Status Explain(const grpc::Status& from) {
    const absl::Status status = FromGrpc(from);
    if (status.ok()) return status;
    if (stopped()) return Cancelled();
    const auto code = absl::IsCancelled(status) ? absl::StatusCode::kUnavailable : status.code();
    return absl::Status(code, absl::StrCat(peer_, ": ", status.message()));
  }

 private:
  const std::string peer_;
  Mutex mu_;
  std::set<grpc::ClientContext*> contexts_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

/// A context that is in the set for as long as it lives.
class CallScope {
 public:
  explicit CallScope(std::shared_ptr<CallSet> calls)
      : calls_(std::move(calls)), added_(calls_->Add(&context_)) {}
  ~CallScope() { calls_->Remove(&context_); }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  /// CANCELLED where the client was stopped before.
  absl::Status started() const { return added_ ? absl::OkStatus() : calls_->Cancelled(); }
  grpc::ClientContext& context() { return context_; }

 private:
  grpc::ClientContext context_;
  const std::shared_ptr<CallSet> calls_;
  const bool added_;
};

}  // namespace tandem::rpc
