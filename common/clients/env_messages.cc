#include "common/clients/env_messages.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/clients/environment_output.h"

namespace tandem::clients {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are little-endian");

constexpr size_t kMaxFaultMessage = 4096;
/// One that fails may fail again when it is made anew, in the same request.
constexpr size_t kMaxFaultsEach = 4;
constexpr int kMaxWorkers = 65536;

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

std::string BoundBytes(const std::vector<double>& bounds) {
  return {reinterpret_cast<const char*>(bounds.data()), bounds.size() * sizeof(double)};
}

absl::StatusOr<std::vector<double>> Bounds(const std::string& leaf, const std::string& bytes) {
  if (bytes.size() % sizeof(double) != 0) {
    return Refuse("leaf \"", leaf, "\": expected bounds of 8 bytes each, got ", bytes.size(),
                  " bytes");
  }
  std::vector<double> bounds(bytes.size() / sizeof(double));
  std::memcpy(bounds.data(), bytes.data(), bytes.size());
  return bounds;
}

template <typename Leaves>
absl::StatusOr<SpaceLayout> DecodeSpace(SpaceLayout::Use use, const Leaves& messages) {
  std::vector<SpaceLeaf> leaves;
  for (const env::v1::SpaceLeaf& message : messages) {
    TANDEM_ASSIGN_OR_RETURN(SpaceLeaf leaf, Decode(message));
    leaves.push_back(std::move(leaf));
  }
  return SpaceLayout::Create(use, std::move(leaves));
}

/// The same status with a prefix.
absl::Status In(const char* where, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(where, ": ", status.message()));
}

absl::Status CheckSize(const char* column, size_t expected, size_t got) {
  if (expected == got) return absl::OkStatus();
  return Refuse(column, ": expected ", expected, " bytes, got ", got);
}

/// A column that may be left out.
absl::Status CheckOptional(const char* column, size_t expected, size_t got) {
  return got == 0 ? absl::OkStatus() : CheckSize(column, expected, got);
}

template <typename Columns>
absl::Status CheckColumns(const char* what, const Columns& columns, const SpaceLayout& layout,
                          size_t rows) {
  const size_t leaves = layout.leaves().size();
  if (static_cast<size_t>(columns.size()) != leaves) {
    return Refuse(what, ": expected ", leaves, " columns, got ", columns.size());
  }
  for (size_t i = 0; i < leaves; ++i) {
    const size_t expected = layout.row_bytes(i) * rows;
    const size_t got = columns[static_cast<int>(i)].size();
    if (got == expected) continue;
    return Refuse(what, ", leaf \"", layout.leaves()[i].name, "\": expected ", rows, " rows of ",
                  layout.row_bytes(i), " bytes, got ", got, " bytes");
  }
  return absl::OkStatus();
}

/// Episodes that ended in this step.
size_t Ended(const env::v1::StepResponse& response, size_t num_envs) {
  size_t ended = 0;
  for (size_t i = 0; i < num_envs; ++i) {
    const auto set = [i](const std::string& flags) { return !flags.empty() && flags[i] != 0; };
    const bool stepped = !set(response.outcomes());
    ended += stepped && (set(response.terminated()) || set(response.truncated())) ? 1 : 0;
  }
  return ended;
}

}  // namespace

absl::StatusOr<ServedEnvironment> Decode(const env::v1::DescribeResponse& message) {
  if (message.protocol_version() < 1 || message.protocol_version() > kEnvProtocolVersion) {
    return absl::UnimplementedError(absl::StrCat(
        "expected version 1 to ", kEnvProtocolVersion,
        " of the environment protocol, the server wants to speak ", message.protocol_version()));
  }
  if (message.name().empty()) return Refuse("expected the name of an environment, got none");
  if (message.capacity() < 1) {
    return Refuse("expected a capacity of at least 1 environment, got ", message.capacity());
  }
  if (message.max_episode_steps() < 0) {
    return Refuse("expected max_episode_steps >= 0, got ", message.max_episode_steps());
  }
  auto observation = DecodeSpace(SpaceLayout::Use::kObservation, message.observation());
  if (!observation.ok()) return In("observation", observation.status());
  auto action = DecodeSpace(SpaceLayout::Use::kAction, message.action());
  if (!action.ok()) return In("action", action.status());
  EnvironmentSpec spec{message.name(), observation->flat(), action->flat(),
                       message.max_episode_steps()};
  ServedEnvironment served{
      .spec = std::move(spec),
      .observation = *std::move(observation),
      .action = *std::move(action),
      .capacity = message.capacity(),
      .available = message.available(),
      .capabilities = {message.capabilities().begin(), message.capabilities().end()}};
  for (absl::string_view capability : served.capabilities) {
    int workers = 0;
    if (capability == "isolate") served.isolates = true;
    if (capability == "frames") served.frames = true;
    if (!absl::ConsumePrefix(&capability, "workers=")) continue;
    if (absl::SimpleAtoi(capability, &workers))
      served.workers = std::clamp(workers, 1, kMaxWorkers);
  }
  return served;
}

void Encode(const SpaceLeaf& leaf, env::v1::SpaceLeaf* message) {
  message->set_name(leaf.name);
  message->set_kind(static_cast<env::v1::SpaceKind>(leaf.kind));
  message->set_element_type(static_cast<env::v1::ElementType>(leaf.type));
  message->mutable_shape()->Assign(leaf.shape.begin(), leaf.shape.end());
  message->set_low(BoundBytes(leaf.low));
  message->set_high(BoundBytes(leaf.high));
  message->mutable_choices()->Assign(leaf.choices.begin(), leaf.choices.end());
  message->set_start(leaf.start);
}

absl::StatusOr<SpaceLeaf> Decode(const env::v1::SpaceLeaf& message) {
  const int kind = message.kind(), type = message.element_type();
  if (kind < env::v1::SPACE_KIND_BOX || kind > env::v1::SPACE_KIND_MULTI_BINARY) {
    return Refuse("leaf \"", message.name(), "\": expected a kind from 1 to 4, got ", kind);
  }
  if (type < env::v1::ELEMENT_TYPE_FLOAT32 || type > env::v1::ELEMENT_TYPE_UINT8) {
    return Refuse("leaf \"", message.name(), "\": expected an element type from 1 to 6, got ",
                  type);
  }
  SpaceLeaf leaf;
  leaf.name = message.name();
  leaf.kind = static_cast<SpaceKind>(kind);
  leaf.type = static_cast<ElementType>(type);
  leaf.shape.assign(message.shape().begin(), message.shape().end());
  TANDEM_ASSIGN_OR_RETURN(leaf.low, Bounds(leaf.name, message.low()));
  TANDEM_ASSIGN_OR_RETURN(leaf.high, Bounds(leaf.name, message.high()));
  leaf.choices.assign(message.choices().begin(), message.choices().end());
  leaf.start = message.start();
  return leaf;
}

FaultKind Decode(env::v1::FaultKind kind) {
  switch (kind) {
    case env::v1::FAULT_KIND_CRASHED:
      return FaultKind::kCrashed;
    case env::v1::FAULT_KIND_HUNG:
      return FaultKind::kHung;
    case env::v1::FAULT_KIND_NOT_FINITE:
      return FaultKind::kNotFinite;
    case env::v1::FAULT_KIND_WRONG_SHAPE:
      return FaultKind::kWrongShape;
    case env::v1::FAULT_KIND_VANISHED:
      return FaultKind::kVanished;
    default:
      return FaultKind::kException;
  }
}

EnvironmentFault Decode(const env::v1::Fault& message) {
  const std::string& text = message.message();
  const size_t cut = text.size() - std::min(text.size(), kMaxFaultMessage);
  return {static_cast<int>(message.env()), Decode(message.kind()),
          Printable(std::string_view(text).substr(cut))};
}

absl::Status CheckResponse(const env::v1::StepResponse& response, const SpaceLayout& observation,
                           int num_envs, bool reset) {
  const size_t n = static_cast<size_t>(num_envs);
  const size_t numbers = reset ? 0 : n * sizeof(float);
  TANDEM_RETURN_IF_ERROR(CheckSize("rewards", numbers, response.rewards().size()));
  const size_t flags = reset ? 0 : n;
  TANDEM_RETURN_IF_ERROR(CheckOptional("terminated", flags, response.terminated().size()));
  TANDEM_RETURN_IF_ERROR(CheckOptional("truncated", flags, response.truncated().size()));
  TANDEM_RETURN_IF_ERROR(CheckOptional("outcomes", n, response.outcomes().size()));
  for (const char outcome : response.outcomes()) {
    if (static_cast<uint8_t>(outcome) <= env::v1::OUTCOME_STARTED) continue;
    return Refuse("outcomes: expected 0 to 3, got ",
                  static_cast<int>(static_cast<uint8_t>(outcome)));
  }
  if (static_cast<size_t>(response.faults_size()) > kMaxFaultsEach * n) {
    return Refuse("faults: expected at most ", kMaxFaultsEach * n, ", got ",
                  response.faults_size());
  }
  for (const env::v1::Fault& fault : response.faults()) {
    if (fault.env() >= 0 && fault.env() < num_envs) continue;
    return Refuse("faults: expected an environment from 0 to ", num_envs - 1, ", got ",
                  fault.env());
  }
  TANDEM_RETURN_IF_ERROR(CheckColumns("observations", response.observations(), observation, n));
  const size_t ended = reset ? 0 : Ended(response, n);
  if (ended == 0 && response.final_observations().empty()) return absl::OkStatus();
  return CheckColumns("final_observations", response.final_observations(), observation, ended);
}

}  // namespace tandem::clients
