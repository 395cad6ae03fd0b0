#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::config {

/// Reads a recipe (YAML for tandem.config.v1.RunConfig), applies overrides "path.to.field=value" in
/// order, fills every unset field with its default, and checks every range. A list is written
/// [200, 200]; an enum by its name without prefix, in any case.
/// INVALID_ARGUMENT names file, line, key, what was expected and what came, and for an unknown key
/// the nearest valid one: `recipes/x.yaml:12: unknown key "polcy"; did you mean "policy"?` path may
/// be empty: then the defaults and the overrides alone.
absl::StatusOr<v1::RunConfig> Load(const std::string& path,
                                   const std::vector<std::string>& overrides);

/// The same from text; `name` stands for the file in messages.
absl::StatusOr<v1::RunConfig> Parse(const std::string& yaml, const std::string& name,
                                    const std::vector<std::string>& overrides);

/// The whole resolved config as YAML that Load reads back to the same config.
std::string ToYaml(const v1::RunConfig& config);

/// A reference of every field in Markdown: path, kind, default, and the comment of the schema.
std::string Docs();

/// Seed of a part of the run: `own` where it is set, else derived from run.seed and `part`.
uint64_t SeedFor(const v1::RunConfig& config, bool has_own, uint64_t own, const std::string& part);

/// log(t / (1 - t)) of the classifier's target t: the most that its logit should reach [nats];
/// infinite where t is 1.
double BestLogit(const v1::RunConfig& config);

/// Threads of a trainer: runtime.threads, 1 where that is not set.
int Threads(const v1::RunConfig& config);

/// Whether the pace waits for the monitor's judgement: monitor.in_lockstep where it is set, else
/// where the monitor acts. Has no meaning where the pace is asynchronous.
bool MonitorInLockstep(const v1::RunConfig& config);

}  // namespace tandem::config
