#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/transient.h"
#include "common/clients/directive_client.h"
#include "common/clients/directive_slot.h"
#include "common/rpc/call_scope.h"
#include "common/rpc/call_timer.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "tandem/monitor/v1/monitor.grpc.pb.h"

namespace tandem {
namespace {

using monitor::v1::MonitorService;

constexpr size_t kMostWaiting = 16;
constexpr int kMostSettings = 64;
constexpr absl::Duration kAcknowledgeTimeout = absl::Seconds(2);

coadaptation::Directive Decode(const monitor::v1::Directive& message) {
  coadaptation::Directive directive{.version = message.version()};
  for (const monitor::v1::Setting& from : message.settings()) {
    const int knob = from.knob();
    // A newer monitor may know knobs that this process does not have.
    if (knob < 1 || knob > static_cast<int>(coadaptation::Knobs().size())) continue;
    if (directive.settings.size() >= kMostSettings) break;
    directive.settings.push_back({.knob = static_cast<coadaptation::Knob>(knob),
                                  .value = from.value(),
                                  .safe_value = from.safe_value(),
                                  .reason = from.reason(),
                                  .version = from.version()});
  }
  return directive;
}

absl::Duration TimeToLive(const monitor::v1::Directive& message) {
  const double seconds = message.ttl_seconds();
  return absl::Seconds(std::isfinite(seconds) ? std::clamp(seconds, 0.0, 86400.0) : 0.0);
}

struct Figures {
  explicit Figures(metrics::Registry& registry)
      : connected(registry.AddGauge("tandem_directive_connected",
                                    "Whether the monitor's directives are followed: 1 or 0.")),
        version(registry.AddGauge("tandem_directive_version",
                                  "Version of the newest directive received.")),
        received(registry.AddCounter("tandem_directive_received_total",
                                     "Directives received, renewals included.")),
        dropped(registry.AddCounter("tandem_directive_acks_dropped_total",
                                    "Acknowledgements that the monitor never heard.")) {
    connected.Set(0);
  }
  metrics::Gauge& connected;
  metrics::Gauge& version;
  metrics::Counter& received;
  metrics::Counter& dropped;
};

class GrpcDirectiveClient : public DirectiveClient {
 public:
  GrpcDirectiveClient(const std::string& address, coadaptation::Receiver receiver,
                      const std::string& member, metrics::Registry& registry,
                      absl::Duration timeout)
      : receiver_(static_cast<monitor::v1::Receiver>(receiver)),
        member_(member),
        timeout_(timeout),
        figures_(registry),
        slot_(*Clock::Real()),
        calls_(std::make_shared<rpc::CallSet>(absl::StrCat("monitor at ", address))),
        channel_(rpc::Connect(address)),
        stub_(MonitorService::NewStub(channel_)),
        peer_("monitor", address),
        watcher_([this] { Watch(); }),
        teller_([this] { Tell(); }) {}
  ~GrpcDirectiveClient() override {
    GrpcDirectiveClient::Stop();
    watcher_.join();
    teller_.join();
  }

  HeldDirective Held() override { return slot_.Held(); }
  bool WaitFor(int64_t version, absl::Duration timeout) override {
    return slot_.WaitFor(version, timeout);
  }
  void Acknowledge(const Acknowledgement& acknowledgement) override;
  void Stop() override {
    {
      MutexLock lock(mu_);
      stopped_ = true;
    }
    wake_.NotifyAll();
    calls_->Stop();
    slot_.Stop();
  }

 private:
  void Watch();
  absl::Status WatchOnce();
  void Tell();
  absl::Status TellOnce(const Acknowledgement& acknowledgement);
  /// Returns false after Stop().
  bool Sleep(absl::Duration time);

  const monitor::v1::Receiver receiver_;
  const std::string member_;
  const absl::Duration timeout_;
  Figures figures_;
  clients::DirectiveSlot slot_;
  const std::shared_ptr<rpc::CallSet> calls_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<MonitorService::Stub> stub_;
  Mutex mu_;
  CondVar wake_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Acknowledgement> to_tell_ ABSL_GUARDED_BY(mu_);
  Acknowledgement last_ ABSL_GUARDED_BY(mu_);
  // Used by the watcher alone.
  rpc::PeerLog peer_;
  rpc::Backoff backoff_;
  std::thread watcher_;
  std::thread teller_;
};

bool GrpcDirectiveClient::Sleep(absl::Duration time) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(time);
  MutexLock lock(mu_);
  for (bool in_time = true; !stopped_ && in_time;) in_time = wake_.WaitUntil(mu_, until);
  return !stopped_;
}

void GrpcDirectiveClient::Watch() {
  do {
    const auto keep_on = [this] { return Sleep(absl::ZeroDuration()); };
    if (!rpc::AwaitConnection(*channel_, peer_, keep_on)) return;
    const absl::Status status = WatchOnce();
    figures_.connected.Set(0);
    if (!absl::IsCancelled(status)) peer_.Failed(status);
  } while (Sleep(backoff_.Next()));
}

absl::Status GrpcDirectiveClient::WatchOnce() {
  rpc::CallScope call(calls_);
  if (!call.started().ok()) return call.started();
  monitor::v1::WatchDirectivesRequest request;
  request.set_receiver(receiver_);
  request.set_member(member_);
  auto reader = stub_->WatchDirectives(&call.context(), request);
  absl::Duration patience = timeout_;
  bool silent = false;
  for (monitor::v1::Directive message;;) {
    const rpc::CallTimer timer(&call.context(), patience);
    if (!reader->Read(&message)) {
      silent = timer.fired();
      break;
    }
    const absl::Duration ttl = TimeToLive(message);
    slot_.Put(Decode(message), ttl);
    patience = std::max(timeout_, ttl);
    figures_.received.Increment();
    figures_.version.Set(static_cast<double>(message.version()));
    figures_.connected.Set(1);
    peer_.Connected();
    backoff_.Reset();
  }
  const absl::Status status = calls_->Explain(reader->Finish());
  if (!silent) return status;
  return absl::UnavailableError(
      absl::StrCat("connected, but no directive within ", absl::FormatDuration(patience)));
}

void GrpcDirectiveClient::Acknowledge(const Acknowledgement& acknowledgement) {
  {
    MutexLock lock(mu_);
    if (acknowledgement.version == last_.version && acknowledgement.outcome == last_.outcome &&
        acknowledgement.refused == last_.refused) {
      return;
    }
    last_ = acknowledgement;
    to_tell_.push_back(acknowledgement);
    if (to_tell_.size() > kMostWaiting) {
      to_tell_.pop_front();
      figures_.dropped.Increment();
    }
  }
  wake_.NotifyAll();
}

void GrpcDirectiveClient::Tell() {
  rpc::Backoff backoff;
  for (;;) {
    Acknowledgement next;
    {
      MutexLock lock(mu_);
      while (!stopped_ && to_tell_.empty()) wake_.Wait(mu_);
      if (stopped_) return;
      next = std::move(to_tell_.front());
      to_tell_.pop_front();
    }
    for (absl::Status status = TellOnce(next); !status.ok(); status = TellOnce(next)) {
      bool full = false;
      {
        MutexLock lock(mu_);
        full = to_tell_.size() >= kMostWaiting;
      }
      if (full || !IsTransient(status)) {
        figures_.dropped.Increment();
        LogWarning(absl::StrCat("directive ", next.version,
                                " is not acknowledged: ", std::string(status.message())));
        break;
      }
      if (!Sleep(backoff.Next())) return;
    }
    backoff.Reset();
  }
}

absl::Status GrpcDirectiveClient::TellOnce(const Acknowledgement& acknowledgement) {
  rpc::CallScope call(calls_);
  if (!call.started().ok()) return call.started();
  rpc::SetDeadline(call.context(), kAcknowledgeTimeout);
  monitor::v1::AcknowledgeRequest request;
  monitor::v1::AcknowledgeResponse response;
  request.set_receiver(receiver_);
  request.set_member(member_);
  request.set_version(acknowledgement.version);
  request.set_outcome(static_cast<monitor::v1::Outcome>(acknowledgement.outcome));
  request.set_message(acknowledgement.message);
  request.set_apply_seconds(acknowledgement.apply_seconds);
  for (const coadaptation::Knob knob : acknowledgement.refused) {
    request.add_refused(static_cast<monitor::v1::Knob>(knob));
  }
  return calls_->Explain(stub_->Acknowledge(&call.context(), request, &response));
}

}  // namespace

std::unique_ptr<DirectiveClient> WatchDirectives(const std::string& address,
                                                 coadaptation::Receiver receiver,
                                                 const std::string& member,
                                                 metrics::Registry& registry,
                                                 absl::Duration timeout) {
  if (address.empty()) return nullptr;
  return std::make_unique<GrpcDirectiveClient>(address, receiver, member, registry, timeout);
}

}  // namespace tandem
