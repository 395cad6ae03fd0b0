#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clients/dm_env_rpc_messages.h"
#include "common/clients/dm_env_rpc_settings.h"
#include "common/clients/exchange_stream.h"
#include "dm_env_rpc/v1/dm_env_rpc.grpc.pb.h"

namespace tandem::cli {

/// A connection to a server of dm_env_rpc that looks at every answer. It creates worlds with the
/// given settings, or takes the server's own world where it creates none, and destroys them at the
/// end. Not thread-safe; every wait ends after 10 s.
class DmEnvRpcChecker {
 public:
  using Request = dm_env_rpc::v1::EnvironmentRequest;
  using Response = dm_env_rpc::v1::EnvironmentResponse;
  using Specs = dm_env_rpc::v1::ActionObservationSpecs;
  using Actions = std::map<uint64_t, dm_env_rpc::v1::Tensor>;

  DmEnvRpcChecker(dm_env_rpc::v1::Environment::Stub& stub, clients::DmEnvRpcSettings settings);
  ~DmEnvRpcChecker();

  /// The answer; the server's error where that is its answer, of the kind that ExpectRefused takes.
  absl::StatusOr<Response> Send(const Request& request);
  /// OK where the answer is an error; its words are in refusal().
  absl::Status ExpectRefused(const Request& request, const std::string& what);
  const std::string& refusal() const { return refusal_; }

  absl::StatusOr<std::string> Create() { return Create(settings_); }
  absl::StatusOr<std::string> Create(const clients::DmEnvRpcSettings& settings);
  absl::Status Destroy(const std::string& world);
  /// Creates a world where there is none of this connection, and joins it.
  absl::Status Join();
  absl::Status Leave();
  absl::StatusOr<Specs> Reset();
  absl::Status ResetWorld(const std::string& world);
  absl::StatusOr<dm_env_rpc::v1::StepResponse> Step(const Actions& actions = {},
                                                    const std::vector<uint64_t>& observations = {});
  /// Steps until the episode goes on, so that the next step looks at its actions.
  absl::Status StepUntilRunning();
  /// A step with one action, while the episode goes on, must be refused.
  absl::Status ExpectActionRefused(uint64_t id, const dm_env_rpc::v1::Tensor& tensor,
                                   const std::string& what);

  const Specs& specs() const { return specs_; }
  const std::string& world() const { return world_; }
  const clients::DmEnvRpcSettings& settings() const { return settings_; }
  std::vector<uint64_t> ObservationIds() const;

 private:
  using Stream = clients::ExchangeStream<Request, Response>;

  const clients::DmEnvRpcSettings settings_;
  Stream stream_;
  std::vector<std::string> created_;
  std::string world_;
  Specs specs_;
  std::string refusal_;
  bool running_ = false;  // the last step said so
};

/// One check of a server of dm_env_rpc.
struct DmEnvRpcCheck {
  enum class Needs : uint8_t { kConnection, kJoined, kRunning };  ///< kRunning: one step was taken.

  const char* name;
  Needs needs;
  absl::Status (*run)(DmEnvRpcChecker&);
};
/// Creating, joining, resetting, leaving and destroying worlds.
std::span<const DmEnvRpcCheck> WorldChecks();
/// Observing and acting.
std::span<const DmEnvRpcCheck> StepChecks();

/// Whether the elements are numbers: no text, no messages, no booleans.
bool IsNumber(const dm_env_rpc::v1::TensorSpec& spec);

}  // namespace tandem::cli
