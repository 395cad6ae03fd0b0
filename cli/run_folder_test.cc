#include "cli/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "common/base/files.h"

namespace tandem::cli {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    parent_ = testing::TempDir() + "/run_folder_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(parent_);
  }
  ~RunFolderTest() override { fs::remove_all(parent_); }

  std::unique_ptr<RunFolder> Make(const std::string& name, OnExist on_exist = OnExist::kNew) {
    auto folder = RunFolder::Create(parent_ + "/" + name, on_exist);
    EXPECT_TRUE(folder.ok()) << folder.status();
    return *std::move(folder);
  }
  std::string parent_;
};

TEST_F(RunFolderTest, TakesTheNextFreeName) {
  EXPECT_EQ(Make("x")->name(), "x");
  const auto second = Make("x");
  EXPECT_EQ(second->name(), "x-2");
  const std::string wanted = fs::path(parent_ + "/x").lexically_normal().string();
  EXPECT_EQ(second->taken(), wanted);
  EXPECT_EQ(Make("x/")->name(), "x-3");
  const auto refused = RunFolder::Create(parent_ + "/x", OnExist::kFail);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.status().message()),
              testing::AllOf(testing::HasSubstr(wanted + " exists"),
                             testing::HasSubstr("cannot be continued"),
                             testing::HasSubstr("--on-exist new")));
}

TEST_F(RunFolderTest, AnEmptyFolderIsTakenAndAFileIsNot) {
  fs::create_directories(parent_ + "/empty");
  const auto folder = Make("empty", OnExist::kFail);
  EXPECT_EQ(folder->name(), "empty");
  EXPECT_EQ(folder->taken(), "");
  EXPECT_TRUE(RunIsAlive(parent_ + "/empty"));
  std::ofstream(parent_ + "/file") << "x";
  EXPECT_EQ(RunFolder::Create(parent_ + "/file", OnExist::kFail).status().code(),
            absl::StatusCode::kAlreadyExists);
  std::ofstream(parent_ + "/nothing").close();
  EXPECT_EQ(RunFolder::Create(parent_ + "/nothing", OnExist::kFail).status().code(),
            absl::StatusCode::kAlreadyExists);
  const std::string below = parent_ + "/file/x";
  EXPECT_THAT(std::string(RunFolder::Create(below, OnExist::kNew).status().message()),
              testing::HasSubstr("cannot make"));
}

TEST_F(RunFolderTest, IsAliveWhileItIsHeld) {
  auto folder = Make("x");
  const std::string path = folder->path();
  EXPECT_TRUE(RunIsAlive(path));
  folder.reset();
  EXPECT_FALSE(RunIsAlive(path));
  EXPECT_FALSE(RunIsAlive(parent_ + "/none"));
}

TEST_F(RunFolderTest, SocketsStayShortAndAreRemoved) {
  std::string socket;
  {
    const auto folder = Make(std::string(100, 'n'));
    socket = folder->AddressOf("policy_trainer").substr(5);
    EXPECT_LT(socket.size(), 100u);
    EXPECT_TRUE(fs::is_directory(fs::path(socket).parent_path()));
  }
  EXPECT_FALSE(fs::exists(fs::path(socket).parent_path()));
}

TEST_F(RunFolderTest, LinesAreJsonAndAnUnfinishedOneIsLeftOut) {
  const auto folder = Make("x");
  ASSERT_TRUE(folder->AppendLine("m.jsonl", {{"a", 1}, {"b", std::nan("")}}).ok());
  ASSERT_TRUE(folder->AppendLine("m.jsonl", {{"text", "bad \xff byte"}}).ok());
  ASSERT_TRUE(AppendToFile(folder->File("m.jsonl"), "{\"a\": 2").ok());
  const auto objects = ReadJsonLines(folder->File("m.jsonl"));
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0]["a"], 1);
  EXPECT_TRUE(objects[0]["b"].is_null());
  EXPECT_TRUE(ReadJsonLines(folder->File("none")).empty());
}

TEST_F(RunFolderTest, FindsARunByPathNameOrAge) {
  for (const char* name : {"old", "new"}) {
    const auto folder = Make(name);
    ASSERT_TRUE(folder->Write("run.json", "{}").ok());
  }
  fs::last_write_time(parent_ + "/old/run.json",
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  const std::string root = fs::canonical(parent_).string();
  EXPECT_EQ(*FindRun(parent_, ""), root + "/new");
  EXPECT_EQ(*FindRun(parent_, "old"), root + "/old");
  EXPECT_EQ(*FindRun("elsewhere", parent_ + "/old/"), root + "/old");
  EXPECT_EQ(FindRun(parent_, "odd").status().message(),
            "there is no run \"odd\"; in " + parent_ + " are new, old");
  EXPECT_EQ(FindRun(parent_ + "/none", "").status().message(),
            "there is no run in " + parent_ + "/none");
}

TEST_F(RunFolderTest, JsonOfBytesThatAreNoTextIsReadable) {
  const auto folder = Make("x");
  ASSERT_TRUE(folder->WriteJson("result.json", {{"reason", "no motor \xff"}}).ok());
  EXPECT_EQ(ReadJsonFile(folder->File("result.json"))["reason"], "no motor \uFFFD");
}

/// A file system of 64 KiB, where the test may mount one.
class FullDisk : public RunFolderTest {
 protected:
  void SetUp() override {
    fs::create_directories(parent_);
    if (geteuid() != 0 || mount("tmpfs", parent_.c_str(), "tmpfs", 0, "size=64k") != 0) {
      GTEST_SKIP() << "needs the right to mount a small file system";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(parent_.c_str(), MNT_DETACH);
  }
  bool mounted_ = false;
};

TEST_F(FullDisk, AFullDiskIsNamedInOneLine) {
  const auto folder = Make("x");
  absl::Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = folder->AppendLine("metrics.jsonl", {{"text", std::string(1000, 'x')}});
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(testing::HasSubstr("metrics.jsonl"),
                             testing::HasSubstr("No space left on device"),
                             testing::Not(testing::HasSubstr("\n"))));
  EXPECT_EQ(folder->Write("report.html", std::string(100000, 'x')).code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tandem::cli
