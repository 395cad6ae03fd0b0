#include "common/config/assign.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/log.h"
#include "common/base/nearest.h"
#include "common/base/status_macros.h"
#include "common/config/rules.h"
#include "common/config/schema.h"

namespace tandem::config {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor::CppType;

absl::Status Bad(const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

std::string At(const std::string& name, const YAML::Node& node) {
  return absl::StrCat(name, ":", node.Mark().line + 1);
}

absl::Status UnknownKey(const std::string& where, const std::string& key,
                        const std::string& section, const pb::Descriptor* type) {
  std::vector<std::string> keys;
  keys.reserve(static_cast<size_t>(type->field_count()));
  for (int i = 0; i < type->field_count(); ++i) keys.push_back(type->field(i)->name());
  std::string text = absl::StrCat("unknown key \"", absl::Utf8SafeCHexEscape(key), "\"");
  if (!section.empty()) absl::StrAppend(&text, " in ", section);
  const std::string nearest(NearestName(key, keys));
  if (nearest.empty()) {
    absl::StrAppend(&text, "; known: ", absl::StrJoin(keys, ", "));
  } else {
    absl::StrAppend(&text, "; did you mean \"", nearest, "\"?");
  }
  return Bad(where, text);
}

/// Sets or, for a list, adds one value. False where `text` is no value of the field's type and
/// range.
bool SetScalar(const pb::FieldDescriptor* field, const FieldRule& rule, const std::string& text,
               pb::Message* message) {
  const pb::Reflection* reflection = message->GetReflection();
  double number = 0;
  int64_t whole = 0;
  switch (field->cpp_type()) {
    case Type::CPPTYPE_DOUBLE:
      if (!absl::SimpleAtod(text, &number) || !std::isfinite(number) || !rule.Allows(number)) {
        return false;
      }
      reflection->SetDouble(message, field, number);
      return true;
    case Type::CPPTYPE_UINT64: {
      uint64_t seed = 0;
      if (!absl::SimpleAtoi(text, &seed)) return false;
      reflection->SetUInt64(message, field, seed);
      return true;
    }
    case Type::CPPTYPE_INT32:
    case Type::CPPTYPE_INT64:
      if (!absl::SimpleAtoi(text, &whole)) {  // 1e5 is a whole number too
        if (!absl::SimpleAtod(text, &number) || number != std::floor(number) ||
            std::abs(number) > 9e15) {
          return false;
        }
        whole = static_cast<int64_t>(number);
      }
      if (!rule.Allows(static_cast<double>(whole))) return false;
      if (field->cpp_type() == Type::CPPTYPE_INT64) {
        reflection->SetInt64(message, field, whole);
        return true;
      }
      if (whole > std::numeric_limits<int32_t>::max()) return false;
      if (field->is_repeated()) {
        reflection->AddInt32(message, field, static_cast<int32_t>(whole));
      } else {
        reflection->SetInt32(message, field, static_cast<int32_t>(whole));
      }
      return true;
    case Type::CPPTYPE_BOOL:
      if (!absl::EqualsIgnoreCase(text, "true") && !absl::EqualsIgnoreCase(text, "false")) {
        return false;
      }
      reflection->SetBool(message, field, absl::EqualsIgnoreCase(text, "true"));
      return true;
    case Type::CPPTYPE_ENUM:
      for (int i = 0; i < field->enum_type()->value_count(); ++i) {
        const pb::EnumValueDescriptor* value = field->enum_type()->value(i);
        if (value->number() != 0 && absl::EqualsIgnoreCase(text, ShortName(value))) {
          reflection->SetEnum(message, field, value);
          return true;
        }
      }
      return false;
    case Type::CPPTYPE_STRING:
      if (!rule.choices.empty()) {
        const std::vector<std::string> choices =
            absl::StrSplit(absl::string_view(rule.choices.data(), rule.choices.size()), ',');
        bool found = false;
        for (const std::string& choice : choices) found = found || choice == text;
        if (!found) return false;
      }
      reflection->SetString(message, field, text);
      return true;
    default:
      return false;
  }
}

std::string KindOfNode(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a section";
  if (node.IsNull()) return "nothing";
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(node.Scalar()), "\"");
}

/// Sets a field that is no section from its node.
absl::Status AssignField(const YAML::Node& node, const pb::FieldDescriptor* field,
                         const std::string& path, const std::string& where, pb::Message* message) {
  const FieldRule& rule = RuleFor(path);
  const auto wrong = [&](const YAML::Node& value) {
    return Bad(where, absl::StrCat(path, ": expected ", ExpectedKind(field, path), ", got ",
                                   KindOfNode(value)));
  };
  message->GetReflection()->ClearField(message, field);
  if (!field->is_repeated()) {
    if (!node.IsScalar() || !SetScalar(field, rule, node.Scalar(), message)) return wrong(node);
    return absl::OkStatus();
  }
  if (!node.IsSequence() || node.size() == 0 || node.size() > 64) return wrong(node);
  for (const YAML::Node& item : node) {
    if (!item.IsScalar() || !SetScalar(field, rule, item.Scalar(), message)) return wrong(item);
  }
  return absl::OkStatus();
}

absl::Status AssignSection(const YAML::Node& node, const std::string& section,
                           const std::string& name, pb::Message* message, Origins* origins) {
  std::map<std::string, int> lines;
  for (const auto& entry : node) {
    const std::string where = At(name, entry.first);
    if (!entry.first.IsScalar()) return Bad(where, "expected a name before the colon");
    const std::string& key = entry.first.Scalar();
    const pb::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(key);
    if (field == nullptr) return UnknownKey(where, key, section, message->GetDescriptor());
    const std::string path = section.empty() ? key : absl::StrCat(section, ".", key);
    const auto [first, fresh] = lines.emplace(key, entry.first.Mark().line + 1);
    if (!fresh) {
      return Bad(where, absl::StrCat("key \"", path, "\" appears twice; it is on line ",
                                     first->second, " already"));
    }
    if (SectionOf(field) == nullptr) {
      TANDEM_RETURN_IF_ERROR(AssignField(entry.second, field, path, where, message));
      (*origins)[path] = where;
    } else if (entry.second.IsMap()) {
      TANDEM_RETURN_IF_ERROR(AssignSection(entry.second, path, name,
                                           message->GetReflection()->MutableMessage(message, field),
                                           origins));
    } else if (!entry.second.IsNull()) {  // a section whose lines are all comments is empty
      return Bad(where, absl::StrCat(path, ": expected a section of keys, got ",
                                     KindOfNode(entry.second)));
    }
  }
  return absl::OkStatus();
}

/// The field that `path` names and the message that holds it.
absl::Status FindField(const std::string& path, const std::string& where, pb::Message* root,
                       pb::Message** holder, const pb::FieldDescriptor** field) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  *holder = root;
  std::string section;
  for (size_t i = 0; i < parts.size(); ++i) {
    *field = (*holder)->GetDescriptor()->FindFieldByName(parts[i]);
    if (*field == nullptr) return UnknownKey(where, parts[i], section, (*holder)->GetDescriptor());
    const std::string here = section.empty() ? parts[i] : absl::StrCat(section, ".", parts[i]);
    const bool last = i + 1 == parts.size();
    if (last && SectionOf(*field) != nullptr) {
      return Bad(where, absl::StrCat("\"", here, "\" is a section; name a field in it, such as ",
                                     here, ".", SectionOf(*field)->field(0)->name()));
    }
    if (!last && SectionOf(*field) == nullptr) {
      return Bad(where, absl::StrCat("\"", here, "\" is a field, not a section"));
    }
    if (!last) *holder = (*holder)->GetReflection()->MutableMessage(*holder, *field);
    section = here;
  }
  return absl::OkStatus();
}

}  // namespace

std::string ExpectedKind(const pb::FieldDescriptor* field, const std::string& path) {
  const FieldRule& rule = RuleFor(path);
  std::string range = rule.Range();
  if (!range.empty()) range.insert(0, " ");
  switch (field->cpp_type()) {
    case Type::CPPTYPE_DOUBLE:
      return absl::StrCat("a number", range);
    case Type::CPPTYPE_BOOL:
      return "true or false";
    case Type::CPPTYPE_ENUM:
      return absl::StrJoin(ShortNames(field->enum_type()), " or ");
    case Type::CPPTYPE_STRING:
      if (rule.choices.empty()) return "a text";
      return absl::StrJoin(
          absl::StrSplit(absl::string_view(rule.choices.data(), rule.choices.size()), ','), " or ");
    default:
      if (field->is_repeated()) return absl::StrCat("a list of whole numbers", range);
      return absl::StrCat("a whole number", range);
  }
}

absl::Status AssignTree(const YAML::Node& root, const std::string& name, v1::RunConfig* config,
                        Origins* origins) {
  if (root.IsNull() || !root.IsDefined()) return absl::OkStatus();
  if (!root.IsMap()) {
    return Bad(At(name, root),
               absl::StrCat("expected sections such as \"policy:\", got ", KindOfNode(root)));
  }
  return AssignSection(root, "", name, config, origins);
}

absl::Status AssignOverride(const std::string& override_text, v1::RunConfig* config,
                            Origins* origins) {
  const std::string where =
      absl::StrCat("override \"", absl::Utf8SafeCHexEscape(override_text), "\"");
  const size_t equals = override_text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Bad(where, "expected path.to.field=value, such as policy.lr=1e-4");
  }
  const std::string path(absl::StripAsciiWhitespace(override_text.substr(0, equals)));
  const std::string value(absl::StripAsciiWhitespace(override_text.substr(equals + 1)));
  pb::Message* holder = nullptr;
  const pb::FieldDescriptor* field = nullptr;
  TANDEM_RETURN_IF_ERROR(FindField(path, where, config, &holder, &field));
  if (value == "null") {
    holder->GetReflection()->ClearField(holder, field);
    origins->erase(path);
    return absl::OkStatus();
  }
  YAML::Node node(value);  // taken as it stands: an address needs no quotes
  if (field->is_repeated()) {
    try {
      node = YAML::Load(value);
    } catch (const YAML::Exception& error) {
      return Bad(where, absl::StrCat("expected ", ExpectedKind(field, path), ": ", error.what()));
    }
  }
  TANDEM_RETURN_IF_ERROR(AssignField(node, field, path, where, holder));
  (*origins)[path] = where;
  return absl::OkStatus();
}

void FillDefaults(v1::RunConfig* config) {
  for (const FieldRule& rule : FieldRules()) {
    if (rule.default_value.empty()) continue;
    pb::Message* holder = nullptr;
    const pb::FieldDescriptor* field = nullptr;
    const std::string path(rule.path);
    TANDEM_CHECK(FindField(path, "defaults", config, &holder, &field).ok());
    const pb::Reflection* reflection = holder->GetReflection();
    const bool set = field->is_repeated() ? reflection->FieldSize(*holder, field) > 0
                                          : reflection->HasField(*holder, field);
    if (set) continue;
    const YAML::Node value = YAML::Load(std::string(rule.default_value));
    TANDEM_CHECK(AssignField(value, field, path, "defaults", holder).ok());
  }
}

}  // namespace tandem::config
