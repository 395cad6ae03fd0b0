#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace tandem::clients {

/// Hands values from one thread to another, a bounded number ahead, and at the end a status.
/// Thread-safe.
template <typename T>
class BoundedQueue {
 public:
  /// capacity >= 1; source: where the values come from, for messages.
  BoundedQueue(size_t capacity, std::string source)
      : capacity_(capacity), source_(std::move(source)) {}

  /// Waits for room. False, without taking the value, after Close().
  bool Push(T value) {
    MutexLock lock(mu_);
    while (values_.size() >= capacity_ && !closed_) changed_.Wait(mu_);
    if (closed_) return false;
    values_.push_back(std::move(value));
    changed_.NotifyAll();
    return true;
  }
  /// No value follows: once the queue is empty, Pop gives `status`, which is not OK. The first
  /// counts.
  void Close(const absl::Status& status) {
    MutexLock lock(mu_);
    if (!closed_) end_ = status;
    closed_ = true;
    changed_.NotifyAll();
  }
  /// DEADLINE_EXCEEDED when nothing has come in time.
  absl::StatusOr<T> Pop(absl::Duration timeout) {
    const auto deadline =
        std::chrono::steady_clock::now() +
        absl::ToChronoNanoseconds(std::clamp(timeout, absl::ZeroDuration(), absl::Hours(1000)));
    MutexLock lock(mu_);
    bool in_time = true;
    while (values_.empty() && !closed_ && in_time) in_time = changed_.WaitUntil(mu_, deadline);
    if (!values_.empty()) {
      T value = std::move(values_.front());
      values_.pop_front();
      changed_.NotifyAll();
      return value;
    }
    if (closed_) return end_;
    return absl::DeadlineExceededError(absl::StrCat(source_, ": nothing has come in time"));
  }

 private:
  const size_t capacity_;
  const std::string source_;
  Mutex mu_;
  CondVar changed_;
  std::deque<T> values_ ABSL_GUARDED_BY(mu_);
  absl::Status end_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem::clients
