#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tandem {

/// Text of unknown origin, such as a line of a log or the last words of a process, as what JSON and
/// protobuf take for text: each byte that does not belong to a UTF-8 character becomes U+FFFD.
/// Pure.
std::string ValidUtf8(std::string_view text);

/// ValidUtf8(text) in at most `most` bytes, at least 4: what is longer ends with " ..." after a
/// whole character. Pure.
std::string CutText(std::string_view text, size_t most);

}  // namespace tandem
