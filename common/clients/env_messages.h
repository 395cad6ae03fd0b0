#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/spec.h"
#include "common/env/space_layout.h"
#include "common/env/vector_environment.h"
#include "tandem/env/v1/env.pb.h"

namespace tandem::clients {

/// Highest version of tandem.env.v1 that this program speaks.
inline constexpr uint32_t kEnvProtocolVersion = 1;
/// Bound of a message of tandem.env.v1 [bytes]: a batch of images is large.
inline constexpr int kMaxEnvMessageBytes = 256 << 20;
/// Most environments that one Open of tandem.env.v1 may ask for.
inline constexpr int64_t kMaxEnvs = 65536;

/// What a server of environments says of itself.
struct ServedEnvironment {
  EnvironmentSpec spec;  ///< Of the flat spaces; max_episode_steps 0 where it is not known.
  SpaceLayout observation;
  SpaceLayout action;
  int64_t capacity = 0;
  int64_t available = 0;
  std::vector<std::string> capabilities;
  bool isolates = false;  ///< It tells of an environment that hangs by itself.
  bool frames = false;    ///< It takes steps on the second socket as well.
  int workers = 1;        ///< Environments of one session that it steps or resets at a time.
};

/// INVALID_ARGUMENT, naming the space and the leaf, for what is no description of environments;
/// UNIMPLEMENTED for a protocol version that this program does not speak.
absl::StatusOr<ServedEnvironment> Decode(const env::v1::DescribeResponse& message);

void Encode(const SpaceLeaf& leaf, env::v1::SpaceLeaf* message);
/// INVALID_ARGUMENT for an unknown kind or element type and for bounds that are not whole numbers
/// of 8 bytes; SpaceLayout::Create checks the rest.
absl::StatusOr<SpaceLeaf> Decode(const env::v1::SpaceLeaf& message);

/// Unknown kinds are kException, the least that is known.
FaultKind Decode(env::v1::FaultKind kind);

/// A fault, with at most 4 KiB of its words, fit for a terminal.
EnvironmentFault Decode(const env::v1::Fault& message);

/// What a step or a reset of N environments must look like, beyond what depends on the outcomes:
/// INVALID_ARGUMENT, naming the column, what was expected and what came, for columns of a wrong
/// number or size, an unknown outcome, more than 4 faults for each environment, or a fault of an
/// environment that there is not.
absl::Status CheckResponse(const env::v1::StepResponse& response, const SpaceLayout& observation,
                           int num_envs, bool reset);

}  // namespace tandem::clients
