#include "common/nn/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"

namespace tandem::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

using Json = nlohmann::json;

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr size_t kMaxHeaderBytes = size_t{1} << 20;
constexpr size_t kMaxRank = 16;

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a valid safetensors file: ", std::string(what)));
}

std::string Quoted(const std::string& name) {
  return absl::StrCat("tensor \"", name.substr(0, 80), "\"");
}

/// Number of elements of `shape`; fails where it is negative anywhere or above `limit`.
absl::StatusOr<uint64_t> ElementCount(const std::vector<int64_t>& shape, uint64_t limit) {
  uint64_t count = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return Malformed("a dimension is negative");
    if (dim == 0) {
      empty = true;
    } else if (count > limit / static_cast<uint64_t>(dim)) {
      return Malformed("a shape has more elements than the file");
    } else {
      count *= static_cast<uint64_t>(dim);
    }
  }
  return empty ? 0 : count;
}

/// Parses a JSON object; fails on duplicate keys, which the JSON library would silently merge.
absl::StatusOr<Json> ParseHeader(std::string_view text) {
  bool duplicate = false;
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      duplicate |= !keys.back().insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  Json header = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (header.is_discarded()) return Malformed("the header is not JSON");
  if (!header.is_object()) return Malformed("the header is not a JSON object");
  if (duplicate) return Malformed("a name occurs twice in the header");
  return header;
}

absl::Status ReadMetadata(const Json& entry, std::map<std::string, std::string>* metadata) {
  if (!entry.is_object()) return Malformed("__metadata__ is not an object");
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) {
      return Malformed(absl::StrCat("metadata \"", key.substr(0, 80), "\" is not a string"));
    }
    (*metadata)[key] = value.get<std::string>();
  }
  return absl::OkStatus();
}

/// Where a tensor's bytes lie within the data section.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string name;
  std::vector<int64_t> shape;
};

absl::StatusOr<Range> ReadEntry(const std::string& name, const Json& entry, uint64_t data_bytes) {
  if (name.empty()) return Malformed("a tensor has an empty name");
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return Malformed(absl::StrCat(Quoted(name), ": expected dtype, shape and data_offsets"));
  }
  if (entry["dtype"] != "F32") {
    return Malformed(absl::StrCat(Quoted(name), ": expected dtype F32"));
  }
  const Json& shape = entry["shape"];
  const Json& offsets = entry["data_offsets"];
  if (!shape.is_array() || shape.size() > kMaxRank) {
    return Malformed(absl::StrCat(Quoted(name), ": shape is not a list of at most 16 numbers"));
  }
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    return Malformed(absl::StrCat(Quoted(name), ": data_offsets is not a pair of numbers"));
  }
  Range range{offsets[0].get<uint64_t>(), offsets[1].get<uint64_t>(), name, {}};
  if (range.begin > range.end || range.end > data_bytes) {
    return Malformed(absl::StrCat(Quoted(name), ": bytes [", range.begin, ", ", range.end,
                                  ") are not within the data's ", data_bytes));
  }
  for (const Json& dim : shape) {
    if (!dim.is_number_unsigned() || dim.get<uint64_t>() > std::numeric_limits<int64_t>::max()) {
      return Malformed(absl::StrCat(Quoted(name), ": a dimension is not a whole number"));
    }
    range.shape.push_back(static_cast<int64_t>(dim.get<uint64_t>()));
  }
  TANDEM_ASSIGN_OR_RETURN(const uint64_t count, ElementCount(range.shape, data_bytes));
  if (count * sizeof(float) != range.end - range.begin) {
    return Malformed(absl::StrCat(Quoted(name), ": shape [", absl::StrJoin(range.shape, ","),
                                  "] needs ", count * sizeof(float), " bytes, the file gives ",
                                  range.end - range.begin));
  }
  return range;
}

absl::StatusOr<const std::string*> FindRaw(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata.find(key);
  if (it == file.metadata.end()) {
    return absl::NotFoundError(absl::StrCat("metadata \"", key, "\" is missing"));
  }
  return &it->second;
}

absl::Status NotA(const std::string& key, std::string_view kind, const std::string& value) {
  return absl::InvalidArgumentError(absl::StrCat("metadata \"", key, "\": expected ",
                                                 std::string(kind), ", got \"", value.substr(0, 80),
                                                 "\""));
}

}  // namespace

absl::StatusOr<std::string> WriteSafetensors(const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header[std::string(kMetadataKey)] = file.metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.empty() || name == kMetadataKey) {
      return absl::InvalidArgumentError(absl::StrCat("bad tensor name \"", name, "\""));
    }
    const auto count = ElementCount(tensor.shape, std::numeric_limits<uint32_t>::max());
    if (!count.ok() || tensor.shape.size() > kMaxRank || *count != tensor.data.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(name), ": shape [", absl::StrJoin(tensor.shape, ","),
                       "] does not fit its ", tensor.data.size(), " elements"));
    }
    const uint64_t end = offset + *count * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const std::exception& error) {  // a name or a value that is not UTF-8
    return absl::InvalidArgumentError(absl::StrCat("safetensors header: ", error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("safetensors header: ", text.size(), " bytes, at most ", kMaxHeaderBytes));
  }
  const uint64_t length = text.size();
  std::string bytes(sizeof(length) + text.size() + offset, '\0');
  char* out = bytes.data();
  std::memcpy(out, &length, sizeof(length));
  std::memcpy(out + sizeof(length), text.data(), text.size());
  out += sizeof(length) + text.size();
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.data.empty()) continue;
    std::memcpy(out, tensor.data.data(), tensor.data.size() * sizeof(float));
    out += tensor.data.size() * sizeof(float);
  }
  return bytes;
}

absl::StatusOr<TensorFile> ReadSafetensors(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) {
    return Malformed(absl::StrCat("expected at least 8 bytes, got ", bytes.size()));
  }
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes.remove_prefix(sizeof(length));
  if (length > kMaxHeaderBytes || length > bytes.size()) {
    return Malformed(absl::StrCat("header of ", length, " bytes; at most ", kMaxHeaderBytes,
                                  " are allowed and ", bytes.size(), " came"));
  }
  const std::string_view data = bytes.substr(length);
  TANDEM_ASSIGN_OR_RETURN(const Json header, ParseHeader(bytes.substr(0, length)));

  TensorFile file;
  std::vector<Range> ranges;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadataKey) {
      TANDEM_RETURN_IF_ERROR(ReadMetadata(entry, &file.metadata));
      continue;
    }
    TANDEM_ASSIGN_OR_RETURN(Range range, ReadEntry(name, entry, data.size()));
    ranges.push_back(std::move(range));
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t expected = 0;
  for (const Range& range : ranges) {
    if (range.begin != expected) {
      return Malformed(absl::StrCat(Quoted(range.name), " begins at ", range.begin, ", expected ",
                                    expected, ": an overlap or a gap"));
    }
    expected = range.end;
  }
  if (expected != data.size()) {
    return Malformed(absl::StrCat("the tensors hold ", expected, " bytes, the file ", data.size()));
  }
  for (Range& range : ranges) {
    NamedTensor& tensor = file.tensors[range.name];
    tensor.shape = std::move(range.shape);
    tensor.data.resize((range.end - range.begin) / sizeof(float));
    if (!tensor.data.empty()) {
      std::memcpy(tensor.data.data(), data.data() + range.begin, range.end - range.begin);
    }
  }
  return file;
}

absl::StatusOr<const NamedTensor*> FindTensor(const TensorFile& file, const std::string& name,
                                              const std::vector<int64_t>& shape) {
  const auto it = file.tensors.find(name);
  if (it == file.tensors.end()) {
    return absl::NotFoundError(absl::StrCat(Quoted(name), " is missing"));
  }
  const NamedTensor& tensor = it->second;
  const auto count = ElementCount(tensor.shape, std::numeric_limits<uint32_t>::max());
  if (tensor.shape != shape || !count.ok() || *count != tensor.data.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(name), ": expected shape [", absl::StrJoin(shape, ","), "], got [",
                     absl::StrJoin(tensor.shape, ","), "] with ", tensor.data.size(), " elements"));
  }
  return &tensor;
}

absl::StatusOr<std::string> FindText(const TensorFile& file, const std::string& key) {
  TANDEM_ASSIGN_OR_RETURN(const std::string* value, FindRaw(file, key));
  return *value;
}

absl::StatusOr<int64_t> FindInt(const TensorFile& file, const std::string& key) {
  TANDEM_ASSIGN_OR_RETURN(const std::string* value, FindRaw(file, key));
  int64_t number = 0;
  if (!absl::SimpleAtoi(*value, &number)) return NotA(key, "a whole number", *value);
  return number;
}

absl::StatusOr<double> FindDouble(const TensorFile& file, const std::string& key) {
  TANDEM_ASSIGN_OR_RETURN(const std::string* value, FindRaw(file, key));
  double number = 0;
  if (!absl::SimpleAtod(*value, &number)) return NotA(key, "a number", *value);
  return number;
}

absl::StatusOr<std::vector<int>> FindInts(const TensorFile& file, const std::string& key) {
  TANDEM_ASSIGN_OR_RETURN(const std::string* value, FindRaw(file, key));
  std::vector<int> numbers;
  if (value->empty()) return numbers;
  for (const absl::string_view part : absl::StrSplit(*value, ',')) {
    int number = 0;
    if (!absl::SimpleAtoi(part, &number)) return NotA(key, "whole numbers", *value);
    numbers.push_back(number);
  }
  return numbers;
}

std::string JoinInts(const std::vector<int>& values) { return absl::StrJoin(values, ","); }

}  // namespace tandem::nn
