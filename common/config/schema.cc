#include "common/config/schema.h"

#include <google/protobuf/descriptor.pb.h>

#include <cctype>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "common/base/log.h"

namespace tandem::config {

namespace pb = google::protobuf;

extern const std::string_view kConfigDescriptor;  // bytes of config.desc, see CMakeLists.txt

const pb::Descriptor* CommentedSchema() {
  static const pb::Descriptor* const schema = [] {
    pb::FileDescriptorSet files;
    TANDEM_CHECK(
        files.ParseFromArray(kConfigDescriptor.data(), static_cast<int>(kConfigDescriptor.size())));
    auto* pool = new pb::DescriptorPool();  // lives as long as the process
    for (const pb::FileDescriptorProto& file : files.file()) {
      TANDEM_CHECK(pool->BuildFile(file) != nullptr);
    }
    const pb::Descriptor* found = pool->FindMessageTypeByName("tandem.config.v1.RunConfig");
    TANDEM_CHECK(found != nullptr);
    return found;
  }();
  return schema;
}

template <typename Descriptor>
std::string CommentOf(const Descriptor* descriptor) {
  pb::SourceLocation location;
  if (!descriptor->GetSourceLocation(&location)) return "";
  std::string text = location.leading_comments;
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  absl::RemoveExtraAsciiWhitespace(&text);
  return text;
}
template std::string CommentOf(const pb::Descriptor*);
template std::string CommentOf(const pb::FieldDescriptor*);
template std::string CommentOf(const pb::EnumValueDescriptor*);

std::string ShortName(const pb::EnumValueDescriptor* value) {
  // The prefix is the type's name in capitals: PaceMode -> PACE_MODE_.
  std::string prefix;
  for (const char c : value->type()->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return value->name().substr(prefix.size() + 1);
}

std::vector<std::string> ShortNames(const pb::EnumDescriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) names.push_back(ShortName(type->value(i)));
  }
  return names;
}

}  // namespace tandem::config
