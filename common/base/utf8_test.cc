#include "common/base/utf8.h"

#include <gtest/gtest.h>

namespace tandem {
namespace {

TEST(Utf8, WhatIsValidStays) {
  for (const char* text : {"", "plain", "\u00e4\u20ac\U0001F916", "\uFFFD\U0010FFFF"}) {
    EXPECT_EQ(ValidUtf8(text), text);
  }
}

TEST(Utf8, EachByteThatIsNoneIsReplaced) {
  EXPECT_EQ(ValidUtf8("a\xff"
                      "b"),
            "a\uFFFD"
            "b");
  EXPECT_EQ(ValidUtf8("\xc3"), "\uFFFD") << "cut";
  EXPECT_EQ(ValidUtf8("\xa4x"), "\uFFFDx") << "the rest of one";
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(ValidUtf8("\xe0\x80\xaf"), "\uFFFD\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "too large";
}

TEST(Utf8, ACutIsAtTheEndOfACharacter) {
  EXPECT_EQ(CutText("123456", 6), "123456");
  EXPECT_EQ(CutText("1234567", 6), "12 ...");
  EXPECT_EQ(CutText("\u00e4\u00e4\u00e4\u00e4", 7), "\u00e4 ...");
  EXPECT_EQ(CutText("\u20ac\u20ac\u20ac", 6), " ...");
  EXPECT_EQ(CutText("\xff\xff\xff", 8), "\uFFFD ...") << "it grows, and is cut after that";
}

}  // namespace
}  // namespace tandem
