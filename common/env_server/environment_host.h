#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/env/environment.h"

namespace tandem::env_server {

class EnvironmentHost;

/// Environments that were taken from a host; they count as taken until this is destroyed, which
/// must be before the host is.
class HostedEnvironments {
 public:
  HostedEnvironments(EnvironmentHost* host, std::vector<std::unique_ptr<Environment>> envs)
      : host_(host), envs_(std::move(envs)) {}
  HostedEnvironments(HostedEnvironments&& other) noexcept
      : host_(std::exchange(other.host_, nullptr)), envs_(std::move(other.envs_)) {}
  HostedEnvironments& operator=(HostedEnvironments&&) = delete;
  ~HostedEnvironments();

  int size() const { return static_cast<int>(envs_.size()); }
  Environment& operator[](int i) const { return *envs_[static_cast<size_t>(i)]; }

 private:
  EnvironmentHost* host_;  // null: moved from
  std::vector<std::unique_ptr<Environment>> envs_;
};

/// Makes environments of one kind, up to a number that may be open at a time, for all services of a
/// server together. Thread-safe.
class EnvironmentHost {
 public:
  using Maker =
      std::function<absl::StatusOr<std::unique_ptr<Environment>>(const EnvironmentOptions&)>;

  /// capacity: >= 1. The maker's error; it is called from many threads, one at a time.
  static absl::StatusOr<std::unique_ptr<EnvironmentHost>> Create(Maker maker, int64_t capacity);

  const EnvironmentSpec& spec() const { return spec_; }
  const SpaceLayout& observation() const { return observation_; }
  const SpaceLayout& action() const { return action_; }
  int64_t capacity() const { return capacity_; }
  int64_t available() const;

  /// RESOURCE_EXHAUSTED, saying how many are free, where there are fewer than `count`, >= 1.
  absl::StatusOr<HostedEnvironments> Take(int64_t count, const EnvironmentOptions& options);

 private:
  friend class HostedEnvironments;
  EnvironmentHost(Maker maker, int64_t capacity, const Environment& example);
  void GiveBack(int64_t count);

  const Maker maker_;
  const int64_t capacity_;
  const EnvironmentSpec spec_;
  const SpaceLayout observation_;
  const SpaceLayout action_;
  mutable Mutex mu_;
  int64_t taken_ ABSL_GUARDED_BY(mu_) = 0;
  Mutex making_;  // held while the maker runs
};

}  // namespace tandem::env_server
