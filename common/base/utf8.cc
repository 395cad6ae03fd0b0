#include "common/base/utf8.h"

#include <cstdint>

namespace tandem {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kMore = " ...";

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// Bytes of the character that `text`, not empty, begins with; 0: it begins with none. Overlong
/// forms, surrogates and what is above U+10FFFF are none (RFC 3629).
size_t CharacterAt(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t size = lead < 0xE0 ? 2 : (lead < 0xF0 ? 3 : 4);
  if (text.size() < size) return 0;
  uint32_t code = lead & (0x7FU >> size);
  for (size_t i = 1; i < size; ++i) {
    if (!Continues(text[i])) return 0;
    code = code << 6U | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return overlong || surrogate || code > 0x10FFFF ? 0 : size;
}

}  // namespace

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const size_t size = CharacterAt(text);
    valid.append(size > 0 ? text.substr(0, size) : kReplacement);
    text.remove_prefix(size > 0 ? size : 1);
  }
  return valid;
}

std::string CutText(std::string_view text, size_t most) {
  std::string valid = ValidUtf8(text);
  if (valid.size() <= most) return valid;
  size_t end = most - kMore.size();
  while (end > 0 && Continues(valid[end])) --end;
  valid.resize(end);
  return valid.append(kMore);
}

}  // namespace tandem
