#include <prometheus/exposer.h>

#include <exception>

#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/metrics/impl.h"
#include "common/metrics/stop_web_server.h"

namespace tandem::metrics {
namespace {

class ExposerServer : public MetricsServer {
 public:
  ExposerServer(std::unique_ptr<prometheus::Exposer> exposer, std::string host,
                std::shared_ptr<prometheus::Collectable> source)
      : source_(std::move(source)), exposer_(std::move(exposer)), host_(std::move(host)) {
    exposer_->RegisterCollectable(source_);
  }
  ~ExposerServer() override {
    const int port = exposer_->GetListeningPorts().front();
    StopWebServer(port, [this] { exposer_.reset(); });
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
  const absl::StatusOr<HostPort> parts = ParseHostPort(address);
  if (!parts.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("metrics address ", parts.status().message()));
  }
  std::string host = parts->host;
  // The web server takes numbers only.
  const std::string bind = absl::StrCat(host == "localhost" ? "127.0.0.1" : host, ":", parts->port);
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
