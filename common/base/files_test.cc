#include "common/base/files.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

namespace tandem {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "tandem_files_" + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    ASSERT_TRUE(MakeDirs(folder_).ok());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  size_t FilesInFolder() const {
    const auto begin = std::filesystem::directory_iterator(folder_);
    return static_cast<size_t>(std::distance(begin, std::filesystem::directory_iterator()));
  }
  std::string folder_;
};

TEST_F(Files, WritesReadsAndReplaces) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "one").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("a"), std::string("two\0bytes", 9)).ok());
  EXPECT_EQ(*ReadFile(Path("a")), std::string("two\0bytes", 9));
  EXPECT_EQ(FilesInFolder(), 1u);
}

TEST_F(Files, ReadSaysWhatIsWrong) {
  const absl::Status missing = ReadFile(Path("none")).status();
  EXPECT_TRUE(absl::IsNotFound(missing));
  EXPECT_EQ(missing.message(), "open " + Path("none") + ": No such file or directory");
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "12345").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ReadFile(Path("a"), 4).status()));
  EXPECT_EQ(*ReadFile(Path("a"), 5), "12345");
  EXPECT_FALSE(ReadFile(folder_).ok());
}

TEST_F(Files, AppendsAndCreates) {
  ASSERT_TRUE(AppendToFile(Path("log"), "a\n").ok());
  ASSERT_TRUE(AppendToFile(Path("log"), "b\n").ok());
  EXPECT_EQ(*ReadFile(Path("log")), "a\nb\n");
}

TEST_F(Files, FullDeviceIsResourceExhausted) {
  const absl::Status status = AppendToFile("/dev/full", "x");
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(status.message(), "write /dev/full: No space left on device");
}

TEST_F(Files, FullDiskLeavesTheOldFile) {
  if (mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  EXPECT_TRUE(WriteFileAtomically(Path("a"), "old").ok());
  const absl::Status status = WriteFileAtomically(Path("a"), std::string(1 << 20, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(*ReadFile(Path("a")), "old");
  EXPECT_EQ(FilesInFolder(), 1u);
  EXPECT_TRUE(AppendToFile(Path("log"), "whole\n").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(AppendToFile(Path("log"), std::string(1 << 20, 'x'))));
  EXPECT_EQ(*ReadFile(Path("log")), "whole\n");
  EXPECT_EQ(umount(folder_.c_str()), 0);
}

TEST_F(Files, FailedWriteLeavesNoTemporaryFile) {
  ASSERT_TRUE(MakeDirs(Path("folder/inside")).ok());
  EXPECT_FALSE(WriteFileAtomically(Path("folder"), "x").ok());  // rename over a folder fails
  EXPECT_EQ(FilesInFolder(), 1u);
  EXPECT_TRUE(absl::IsNotFound(WriteFileAtomically(Path("none/a"), "x")));
}

TEST_F(Files, WhatAKilledProcessOfTheSamePidLeftIsNoObstacle) {
  // In a container the pid is the same at every start, and the names of temporary files begin
  // again.
  for (int i = 0; i < 100; ++i) {
    const std::string name =
        Path("epoch.tmp." + std::to_string(getpid()) + "." + std::to_string(i));
    ASSERT_TRUE(AppendToFile(name, "left").ok());
  }
  EXPECT_EQ(*IncrementCounterFile(Path("epoch")), 1u);
}

TEST_F(Files, ReadersNeverSeeAMixture) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), std::string(100000, 'a')).ok());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(WriteFileAtomically(Path("a"), std::string(100000, "ab"[i % 2])).ok());
    }
  });
  for (int i = 0; i < 200; ++i) {
    const absl::StatusOr<std::string> contents = ReadFile(Path("a"));
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(*contents, std::string(100000, (*contents)[0]));
  }
  stop = true;
  writer.join();
}

TEST_F(Files, MakeDirsIsIdempotentAndNeedsAFolder) {
  EXPECT_TRUE(MakeDirs(Path("x/y/z")).ok());
  EXPECT_TRUE(MakeDirs(Path("x/y/z")).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("file"), "").ok());
  EXPECT_FALSE(MakeDirs(Path("file")).ok());
  EXPECT_FALSE(MakeDirs(Path("file/below")).ok());
}

TEST_F(Files, CounterCountsStarts) {
  EXPECT_EQ(*IncrementCounterFile(Path("epoch")), 1u);
  EXPECT_EQ(*IncrementCounterFile(Path("epoch")), 2u);
  ASSERT_TRUE(WriteFileAtomically(Path("epoch"), "7x").ok());
  const absl::Status status = IncrementCounterFile(Path("epoch")).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_EQ(*ReadFile(Path("epoch")), "7x");
}

TEST_F(Files, ErrnoStatusPicksTheCode) {
  EXPECT_TRUE(absl::IsResourceExhausted(ErrnoStatus(ENOSPC, "write /x")));
  EXPECT_TRUE(absl::IsPermissionDenied(ErrnoStatus(EACCES, "open /x")));
  EXPECT_EQ(ErrnoStatus(ENOSPC, "write /x").message(), "write /x: No space left on device");
}

}  // namespace
}  // namespace tandem
