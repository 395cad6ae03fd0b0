#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/config/assign.h"
#include "common/config/config.h"
#include "common/config/rules.h"
#include "common/config/schema.h"

namespace tandem::config {
namespace {

namespace pb = google::protobuf;

/// The text of a table's cell.
std::string Cell(const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}}); }

void AppendField(const pb::FieldDescriptor* field, const std::string& path, std::string* out) {
  const std::string value(RuleFor(path).default_value);
  std::string comment = CommentOf(field);
  if (!value.empty()) comment.resize(std::min(comment.size(), comment.rfind(" Default: ")));
  absl::StrAppend(out, "| `", path, "` | ", Cell(ExpectedKind(field, path)), " | ",
                  value.empty() ? "" : absl::StrCat("`", value, "`"), " | ", Cell(comment), " |\n");
}

void AppendEnum(const pb::FieldDescriptor* field, std::string* out) {
  absl::StrAppend(out, "\nValues of `", field->name(), "`:\n\n");
  for (int i = 0; i < field->enum_type()->value_count(); ++i) {
    const pb::EnumValueDescriptor* value = field->enum_type()->value(i);
    if (value->number() == 0) continue;
    absl::StrAppend(out, "- `", ShortName(value), "`: ", CommentOf(value), "\n");
  }
}

}  // namespace

std::string Docs() {
  std::string out =
      "# Configuration\n\n"
      "A recipe is YAML with these sections. `tandem train RECIPE section.field=value` overrides a "
      "field; `section.field=null` gives it back its default. A field that is left out takes its "
      "default.\n";
  const pb::Descriptor* root = CommentedSchema();
  for (int i = 0; i < root->field_count(); ++i) {
    const pb::FieldDescriptor* section = root->field(i);
    absl::StrAppend(&out, "\n## ", section->name(), "\n\n", CommentOf(SectionOf(section)), "\n\n",
                    "| field | value | default | meaning |\n|---|---|---|---|\n");
    const pb::Descriptor* type = SectionOf(section);
    for (int j = 0; j < type->field_count(); ++j) {
      AppendField(type->field(j), absl::StrCat(section->name(), ".", type->field(j)->name()), &out);
    }
    for (int j = 0; j < type->field_count(); ++j) {
      if (type->field(j)->enum_type() != nullptr) AppendEnum(type->field(j), &out);
    }
  }
  return out;
}

}  // namespace tandem::config
