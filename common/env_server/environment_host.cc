#include "common/env_server/environment_host.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::env_server {

HostedEnvironments::~HostedEnvironments() {
  if (host_ == nullptr) return;
  const int64_t count = size();
  envs_.clear();
  host_->GiveBack(count);
}

absl::StatusOr<std::unique_ptr<EnvironmentHost>> EnvironmentHost::Create(Maker maker,
                                                                         int64_t capacity) {
  if (capacity < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected room for at least 1 environment, got ", capacity));
  }
  TANDEM_ASSIGN_OR_RETURN(const std::unique_ptr<Environment> example, maker({}));
  return std::unique_ptr<EnvironmentHost>(
      new EnvironmentHost(std::move(maker), capacity, *example));
}

EnvironmentHost::EnvironmentHost(Maker maker, int64_t capacity, const Environment& example)
    : maker_(std::move(maker)),
      capacity_(capacity),
      spec_(example.spec()),
      observation_(example.observation_layout()),
      action_(example.action_layout()) {}

int64_t EnvironmentHost::available() const {
  MutexLock lock(mu_);
  return capacity_ - taken_;
}

absl::StatusOr<HostedEnvironments> EnvironmentHost::Take(int64_t count,
                                                         const EnvironmentOptions& options) {
  {
    MutexLock lock(mu_);
    if (count < 1 || count > capacity_ - taken_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "expected 1 to ", capacity_ - taken_, " environments, which are free, got ", count));
    }
    taken_ += count;
  }
  std::vector<std::unique_ptr<Environment>> envs;
  MutexLock lock(making_);
  while (static_cast<int64_t>(envs.size()) < count) {
    absl::StatusOr<std::unique_ptr<Environment>> env = maker_(options);
    if (!env.ok()) {
      GiveBack(count);
      return env.status();
    }
    envs.push_back(*std::move(env));
  }
  return HostedEnvironments(this, std::move(envs));
}

void EnvironmentHost::GiveBack(int64_t count) {
  MutexLock lock(mu_);
  taken_ -= count;
}

}  // namespace tandem::env_server
