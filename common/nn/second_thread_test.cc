#include "common/nn/second_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace tandem::nn {
namespace {

TEST(SecondThread, BothPiecesRunAtOnceOnTwoThreads) {
  SecondThread second;
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 100; ++round) {
    std::atomic<bool> here = false, there = false;
    // Each piece waits for the other to begin.
    second.RunBoth(
        [&] {
          EXPECT_EQ(std::this_thread::get_id(), caller);
          here = true;
          while (!there) std::this_thread::yield();
        },
        [&] {
          EXPECT_NE(std::this_thread::get_id(), caller);
          there = true;
          while (!here) std::this_thread::yield();
        });
  }
}

TEST(SecondThread, WakesUpAfterItFellAsleepAndLetsItsCallerSleep) {
  SecondThread second;
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    bool done = false;
    second.RunBoth([] {},
                   [&] {
                     std::this_thread::sleep_for(std::chrono::milliseconds(5));
                     done = true;
                   });
    EXPECT_TRUE(done);
  }
}

TEST(SecondThread, ThrowsWhatAPieceThrewOnceBothHaveEnded) {
  SecondThread second;
  const auto thrown = [&](bool here_fails, bool there_fails) -> std::string {
    bool here = false, there = false;
    const auto piece = [](bool fails, const char* name, bool* ended) {
      *ended = true;
      if (fails) throw std::runtime_error(name);
    };
    std::string what = "nothing";
    try {
      second.RunBoth([&] { piece(here_fails, "here", &here); },
                     [&] { piece(there_fails, "there", &there); });
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_TRUE(here && there);
    return what;
  };
  EXPECT_EQ(thrown(false, true), "there");
  EXPECT_EQ(thrown(true, true), "here");
  EXPECT_EQ(thrown(true, false), "here");
  EXPECT_EQ(thrown(false, false), "nothing");
}

}  // namespace
}  // namespace tandem::nn
