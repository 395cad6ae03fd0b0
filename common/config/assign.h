#pragma once

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <string>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "tandem/config/v1/config.pb.h"

namespace tandem::config {

/// Writes a parsed recipe into `config`: INVALID_ARGUMENT with `name` and the line for an unknown
/// or repeated key, a wrong type, or a value out of range.
absl::Status AssignTree(const YAML::Node& root, const std::string& name, v1::RunConfig* config,
                        Origins* origins);

/// Applies "path.to.field=value"; "null" unsets the field. Messages start with `override "..."`.
absl::Status AssignOverride(const std::string& override_text, v1::RunConfig* config,
                            Origins* origins);

/// Gives every unset field its default.
void FillDefaults(v1::RunConfig* config);

/// What a value of the field must be, for messages and the reference: "a number > 0".
std::string ExpectedKind(const google::protobuf::FieldDescriptor* field, const std::string& path);

}  // namespace tandem::config
