#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace tandem::config {

/// RunConfig's descriptor with the comments of config.proto, from the copy inside the binary. Lives
/// for ever; thread-safe. (The generated classes carry a descriptor without comments.)
const google::protobuf::Descriptor* CommentedSchema();

/// The comment above a field, message or enum value of CommentedSchema(), on one line.
template <typename Descriptor>
std::string CommentOf(const Descriptor* descriptor);

/// The names of an enum's values as a recipe writes them: "PACE_MODE_ASYNC" is "ASYNC". The
/// UNSPECIFIED value is left out.
std::vector<std::string> ShortNames(const google::protobuf::EnumDescriptor* type);
/// The short name of one value.
std::string ShortName(const google::protobuf::EnumValueDescriptor* value);

/// A section of the config (a message), or null for a plain field.
inline const google::protobuf::Descriptor* SectionOf(
    const google::protobuf::FieldDescriptor* field) {
  return field->message_type();
}

}  // namespace tandem::config
