#include <arpa/inet.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/metrics/impl.h"

namespace tandem::metrics {
namespace {

/// Connects to a port of this machine and hangs up.
void Poke(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Whether it connects does not matter: without, stopping only takes longer.
  (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  close(fd);
}

class ExposerServer : public MetricsServer {
 public:
  ExposerServer(std::unique_ptr<prometheus::Exposer> exposer, std::string host,
                std::shared_ptr<prometheus::Collectable> source)
      : source_(std::move(source)), exposer_(std::move(exposer)), host_(std::move(host)) {
    exposer_->RegisterCollectable(source_);
  }
  ~ExposerServer() override {
    // The web server's accepting thread looks only every two seconds whether it shall stop, or when
    // somebody connects.
    const int port = exposer_->GetListeningPorts().front();
    std::atomic<bool> stopped{false};
    std::thread waker([&stopped, port] {
      while (!stopped) {
        Poke(port);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    exposer_.reset();
    stopped = true;
    waker.join();
  }
  std::string address() const override {
    return absl::StrCat(host_, ":", exposer_->GetListeningPorts().front());
  }

 private:
  const std::shared_ptr<prometheus::Collectable> source_;  // the exposer holds only a weak one
  std::unique_ptr<prometheus::Exposer> exposer_;
  const std::string host_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const std::string& address,
                                                                    Registry& registry) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("metrics address \"", address, "\": expected \"host:port\""));
  }
  std::string host = address.substr(0, colon);
  // The web server takes numbers only.
  const std::string bind = (host == "localhost" ? "127.0.0.1" : host) + address.substr(colon);
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(bind, /*num_threads=*/2);
    return std::make_unique<ExposerServer>(std::move(exposer), std::move(host),
                                           registry.impl().source);
  } catch (const std::exception&) {
    return absl::UnavailableError(absl::StrCat(
        "cannot serve /metrics at ", address,
        ": the port is taken, or the address is not one of this machine (a number or localhost)"));
  }
}

}  // namespace tandem::metrics
