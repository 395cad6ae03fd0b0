#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/config.h"
#include "common/config/schema.h"

namespace tandem::config {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

/// The shortest text that reads back to the same number.
std::string ShortestNumber(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

/// Quoted unless it is plainly a word, a path or an address.
std::string Quoted(const std::string& text) {
  bool plain = !text.empty() && absl::ascii_isalpha(text[0]) && text.back() != ':' &&
               text != "null" && text != "Null" && text != "NULL";
  for (const char c : text) {
    plain =
        plain && (absl::ascii_isalnum(c) || std::string_view("_./:-").find(c) != std::string::npos);
  }
  if (plain) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (absl::ascii_iscntrl(c)) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string ValueText(const pb::Message& message, const pb::FieldDescriptor* field) {
  const pb::Reflection* reflection = message.GetReflection();
  if (field->is_repeated()) {
    std::vector<int32_t> values;
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      values.push_back(reflection->GetRepeatedInt32(message, field, i));
    }
    return absl::StrCat("[", absl::StrJoin(values, ", "), "]");
  }
  switch (field->cpp_type()) {
    case Type::CPPTYPE_DOUBLE:
      return ShortestNumber(reflection->GetDouble(message, field));
    case Type::CPPTYPE_UINT64:
      return absl::StrCat(reflection->GetUInt64(message, field));
    case Type::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(message, field));
    case Type::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(message, field));
    case Type::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case Type::CPPTYPE_ENUM:
      return ShortName(reflection->GetEnum(message, field));
    default:
      return Quoted(reflection->GetString(message, field));
  }
}

}  // namespace

std::string ToYaml(const v1::RunConfig& config) {
  std::string out;
  std::vector<const pb::FieldDescriptor*> sections;
  config.GetReflection()->ListFields(config, &sections);  // those set, in the schema's order
  for (const pb::FieldDescriptor* section : sections) {
    const pb::Message& message = config.GetReflection()->GetMessage(config, section);
    std::vector<const pb::FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    if (fields.empty()) continue;
    absl::StrAppend(&out, section->name(), ":\n");
    for (const pb::FieldDescriptor* field : fields) {
      absl::StrAppend(&out, "  ", field->name(), ": ", ValueText(message, field), "\n");
    }
  }
  return out;
}

}  // namespace tandem::config
