#include "common/clients/dm_env_rpc_recovery.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"

namespace tandem::clients {
namespace {

constexpr absl::Duration kFaultInterval = absl::Seconds(5);
constexpr absl::Duration kPoll = absl::Milliseconds(50);

absl::Duration Now() { return Clock::Real()->Monotonic(); }

}  // namespace

FaultKind KindOf(const absl::Status& status, bool refused) {
  if (refused) return FaultKind::kException;
  if (absl::IsDeadlineExceeded(status)) return FaultKind::kHung;
  const bool nonsense =
      absl::IsInvalidArgument(status) || absl::IsInternal(status) || absl::IsDataLoss(status);
  return nonsense ? FaultKind::kWrongShape : FaultKind::kVanished;
}

DmEnvRpcRecovery::DmEnvRpcRecovery(std::shared_ptr<const DmEnvRpcServer> server,
                                   DmEnvRpcSpecs expected)
    : server_(std::move(server)),
      expected_(std::move(expected)),
      calls_(std::make_shared<rpc::CallSet>(server_->peer)),
      thread_([this] { Run(); }) {}

DmEnvRpcRecovery::~DmEnvRpcRecovery() {
  Stop();
  thread_.join();
}

void DmEnvRpcRecovery::Stop() {
  calls_->Stop();
  MutexLock lock(mu_);
  stopping_ = true;
  changed_.NotifyAll();
}

void DmEnvRpcRecovery::Reopen(int env, uint64_t seed, std::string lost, bool healthy) {
  MutexLock lock(mu_);
  ready_.erase(env);
  RetryPace& pace = paces_[env];
  if (healthy) pace.Reset();
  jobs_.erase(env);
  Job& job = jobs_[env];
  job.number = ++jobs_started_;
  job.seed = seed;
  job.lost = std::move(lost);
  job.next_try = Now() + pace.Next();
  job.next_fault = Now() + kFaultInterval;
  changed_.NotifyAll();
}

std::unique_ptr<DmEnvRpcConnection> DmEnvRpcRecovery::Take(int env) {
  MutexLock lock(mu_);
  const auto found = ready_.find(env);
  if (found == ready_.end()) return nullptr;
  auto connection = std::move(found->second);
  ready_.erase(found);
  return connection;
}

void DmEnvRpcRecovery::Forget(int env) {
  MutexLock lock(mu_);
  jobs_.erase(env);
  ready_.erase(env);
}

void DmEnvRpcRecovery::Await(absl::Duration timeout) {
  const auto deadline = After(timeout);
  MutexLock lock(mu_);
  while (ready_.empty() && status_.ok() && !stopping_ && changed_.WaitUntil(mu_, deadline)) {
  }
}

absl::Status DmEnvRpcRecovery::status() const {
  MutexLock lock(mu_);
  return status_;
}

std::vector<EnvironmentFault> DmEnvRpcRecovery::TakeFaults() {
  MutexLock lock(mu_);
  return std::exchange(faults_, {});
}

void DmEnvRpcRecovery::Run() {
  for (;;) {
    int env = -1;
    uint64_t number = 0, seed = 0;
    std::string lost;
    {
      MutexLock lock(mu_);
      while (!stopping_ && status_.ok() && env < 0) {
        for (const auto& [index, job] : jobs_) {
          if (job.next_try > Now()) continue;
          env = index;
          number = job.number;
          seed = job.seed;
          lost = job.lost;
          break;
        }
        if (env < 0) changed_.WaitUntil(mu_, After(jobs_.empty() ? absl::Hours(1) : kPoll));
      }
      if (stopping_ || !status_.ok()) return;
    }
    Conclude(env, number, Try(seed, lost));
  }
}

absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> DmEnvRpcRecovery::Try(uint64_t seed,
                                                                          const std::string& lost) {
  const auto deadline = After(server_->source.reset_timeout);
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<DmEnvRpcConnection> connection,
                          DmEnvRpcConnection::Open(server_, calls_, seed, lost));
  if (!connection->specs().SameAs(expected_)) return connection;
  TANDEM_RETURN_IF_ERROR(connection->BeginFirstStep(deadline));
  TANDEM_RETURN_IF_ERROR(connection->End(deadline));
  return connection;
}

absl::Status DmEnvRpcRecovery::CheckSpecs(const DmEnvRpcSpecs& specs) const {
  if (specs.SameAs(expected_)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(server_->peer, ": the server came back with other environments: expected ",
                   expected_.observation.flat().dim(), " observations and ",
                   expected_.action.flat().dim(), " actions, got ", specs.observation.flat().dim(),
                   " and ", specs.action.flat().dim(), ", or others of other types or bounds"));
}

void DmEnvRpcRecovery::Conclude(int env, uint64_t number,
                                absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> opened) {
  MutexLock lock(mu_);
  const auto found = jobs_.find(env);
  if (found == jobs_.end() || found->second.number != number) return;  // forgotten meanwhile
  if (opened.ok()) {
    status_ = CheckSpecs((*opened)->specs());
    if (status_.ok()) ready_[env] = *std::move(opened);
    jobs_.erase(found);
    changed_.NotifyAll();
    return;
  }
  Job& job = found->second;
  job.next_try = Now() + paces_[env].Next();
  if (Now() < job.next_fault) return;
  job.next_fault = Now() + kFaultInterval;
  faults_.push_back({env, KindOf(opened.status(), /*refused=*/false),
                     absl::StrCat("no new connection: ", opened.status().message())});
}

}  // namespace tandem::clients
