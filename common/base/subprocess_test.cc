#include "common/base/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tandem {
namespace {

/// Runs a shell script to its end: its output, then how it ended.
std::string RunScript(const std::string& script, int parent_death_signal = SIGTERM) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const auto pid = StartSubprocess({.argv = {"sh", "-c", script},
                                    .environment = {{"WORD", "hello"}},
                                    .output = ends[1],
                                    .error = ends[1],
                                    .parent_death_signal = parent_death_signal});
  close(ends[1]);
  EXPECT_TRUE(pid.ok()) << pid.status();
  std::string output;
  char buffer[256];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) output.append(buffer, got);
  close(ends[0]);
  int wait_status = 0;
  EXPECT_EQ(waitpid(*pid, &wait_status, 0), *pid);
  return output + DescribeExit(wait_status);
}

TEST(SubprocessTest, GetsItsEnvironmentAndFiles) {
  EXPECT_EQ(RunScript("echo $WORD; echo oops >&2; cat; exit 3"), "hello\noops\nexit code 3");
}

TEST(SubprocessTest, LeadsItsGroup) { EXPECT_EQ(RunScript("kill -9 -$$"), "signal 9 (Killed)"); }

TEST(SubprocessTest, SeesNoFileOfItsParent) {
  const int leaky = open("/dev/null", O_RDONLY);
  EXPECT_EQ(RunScript("[ -e /proc/self/fd/" + std::to_string(leaky) + " ] && echo leaked; exit 0"),
            "exit code 0");
  close(leaky);
}

TEST(SubprocessTest, AnAbsentProgramIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(StartSubprocess({.argv = {"no-such-program"}}).status()));
  EXPECT_TRUE(absl::IsNotFound(StartSubprocess({.argv = {"/no/such/program"}}).status()));
}

}  // namespace
}  // namespace tandem
