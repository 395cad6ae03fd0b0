#include "common/rpc/server_runner.h"

#include <grpcpp/health_check_service_interface.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/member_service.h"
#include "common/rpc/method_metrics.h"
#include "common/rpc/socket_files.h"

namespace tandem::rpc {
namespace {

constexpr char kEndpointsFile[] = "/endpoints.json";

/// A signal has come: another one from ourselves must not count as the user's second.
std::atomic<bool> stopping{false};

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

/// Ends the process with 3 where the drain does not come to an end in time.
class Watchdog {
 public:
  Watchdog(std::string role, absl::Duration limit)
      : role_(std::move(role)),
        deadline_(std::chrono::steady_clock::now() + absl::ToChronoMicroseconds(limit)),
        thread_([this] { Watch(); }) {}
  ~Watchdog() {
    {
      MutexLock lock(mu_);
      done_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }

 private:
  void Watch() {
    MutexLock lock(mu_);
    while (!done_) {
      if (changed_.WaitUntil(mu_, deadline_) || done_) continue;
      LogError(absl::StrCat(role_, " does not stop; giving up"));
      _exit(3);
    }
  }

  const std::string role_;
  const std::chrono::steady_clock::time_point deadline_;
  Mutex mu_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

class Runner : public ServerRunner {
 public:
  explicit Runner(ServerOptions options) : options_(std::move(options)) {}
  ~Runner() override {
    if (server_ != nullptr) Drain(absl::ZeroDuration());
  }

  absl::Status Bind();
  absl::Status ServeMetrics();
  absl::Status WriteEndpoints();

  void SetServing(bool serving) override {
    server_->GetHealthCheckService()->SetServingStatus(serving);
  }
  std::string address() const override { return address_; }
  std::string metrics_address() const override {
    return metrics_server_ == nullptr ? "" : metrics_server_->address();
  }
  void WaitForSignal() override;
  void Drain(absl::Duration grace) override;

 private:
  ServerOptions options_;
  std::string address_;
  bool wrote_endpoints_ = false;
  MemberServiceImpl member_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<metrics::MetricsServer> metrics_server_;
};

absl::Status Runner::Bind() {
  const std::string socket = UnixSocketPath(options_.address);
  const size_t colon = options_.address.rfind(':');
  if (socket.empty() && (colon == std::string::npos || colon + 1 == options_.address.size())) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", options_.address,
                                                   "\": expected \"unix:/path\" or \"host:port\""));
  }
  if (!socket.empty()) TANDEM_RETURN_IF_ERROR(PrepareSocketFile(socket));

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.address, grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service : options_.services) builder.RegisterService(service);
  builder.RegisterService(&member_);
  builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
  builder.SetMaxSendMessageSize(options_.max_message_bytes);
  // Without this two servers may share a port, each with half of the clients.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  if (options_.registry != nullptr) {
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(MakeMethodMetrics(*options_.registry));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
  }
  {
    QuietGrpc quiet;
    server_ = builder.BuildAndStart();
  }
  if (server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen at ", options_.address,
                     ": the port is taken, or the address is not one of this machine"));
  }
  SetServing(false);
  address_ = socket.empty() ? absl::StrCat(options_.address.substr(0, colon), ":", port)
                            : options_.address;
  return absl::OkStatus();
}

absl::Status Runner::ServeMetrics() {
  if (options_.metrics_address.empty() || options_.registry == nullptr) return absl::OkStatus();
  TANDEM_ASSIGN_OR_RETURN(
      metrics_server_, metrics::MetricsServer::Start(options_.metrics_address, *options_.registry));
  return absl::OkStatus();
}

absl::Status Runner::WriteEndpoints() {
  if (options_.state_dir.empty()) return absl::OkStatus();
  TANDEM_RETURN_IF_ERROR(MakeDirs(options_.state_dir));
  nlohmann::json endpoints = {
      {"address", address()}, {"metrics", metrics_address()}, {"pid", getpid()}};
  for (const auto& [name, address] : options_.more_endpoints) endpoints[name] = address;
  TANDEM_RETURN_IF_ERROR(
      WriteFileAtomically(options_.state_dir + kEndpointsFile, endpoints.dump() + "\n"));
  wrote_endpoints_ = true;
  return absl::OkStatus();
}

void Runner::WaitForSignal() {
  const sigset_t signals = StopSignals();
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  stopping = true;
  LogInfo(absl::StrCat(options_.role, " stops: ", signal == SIGINT ? "SIGINT" : "SIGTERM"));
  std::thread([signals] {
    int again = 0;
    while (sigwait(&signals, &again) != 0) {
    }
    _exit(130);
  }).detach();
}

void Runner::Drain(absl::Duration grace) {
  if (server_ == nullptr) return;
  Watchdog watchdog(options_.role, grace + absl::Seconds(2));
  server_->GetHealthCheckService()->Shutdown();
  for (LiveCalls* calls : options_.live_calls) calls->CancelAll();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(grace));
  server_->Wait();
  server_.reset();
  metrics_server_.reset();
  if (wrote_endpoints_) unlink((options_.state_dir + kEndpointsFile).c_str());
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void RequestShutdown() {
  if (!stopping) kill(getpid(), SIGTERM);
}

absl::StatusOr<std::unique_ptr<ServerRunner>> ServerRunner::Start(ServerOptions options) {
  InitGrpc();
  auto runner = std::make_unique<Runner>(std::move(options));
  TANDEM_RETURN_IF_ERROR(runner->Bind());
  TANDEM_RETURN_IF_ERROR(runner->ServeMetrics());
  TANDEM_RETURN_IF_ERROR(runner->WriteEndpoints());
  return std::unique_ptr<ServerRunner>(std::move(runner));
}

}  // namespace tandem::rpc
