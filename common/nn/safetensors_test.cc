#include "common/nn/safetensors.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tandem::nn {
namespace {

using ::testing::HasSubstr;

TensorFile Example() {
  TensorFile file;
  file.tensors["a.w0"] = {{2, 3}, {1, 2, 3, 4, 5, 6}};
  file.tensors["b"] = {{1}, {-0.5f}};
  file.tensors["scalar"] = {{}, {7}};
  file.tensors["void"] = {{0, 4}, {}};
  file.metadata["kind"] = "test \"quoted\"";
  file.metadata["n"] = "12";
  return file;
}

std::string Bytes(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\0');
}

void ExpectSame(const TensorFile& a, const TensorFile& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    ASSERT_TRUE(b.tensors.contains(name)) << name;
    EXPECT_EQ(tensor.shape, b.tensors.at(name).shape);
    EXPECT_EQ(tensor.data, b.tensors.at(name).data);
  }
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const auto bytes = WriteSafetensors(Example());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto file = ReadSafetensors(*bytes);
  ASSERT_TRUE(file.ok()) << file.status();
  ExpectSame(*file, Example());
}

TEST(Safetensors, EqualContentsGiveEqualBytesAndAnAlignedHeader) {
  const std::string bytes = *WriteSafetensors(Example());
  EXPECT_EQ(bytes, *WriteSafetensors(*ReadSafetensors(bytes)));
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string bytes = *WriteSafetensors(Example());
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(ReadSafetensors(bytes.substr(0, n)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << n;
  }
  EXPECT_FALSE(ReadSafetensors(bytes + "x").ok());
}

TEST(Safetensors, FlippedBitsNeverCrashAndNeverGiveAnInconsistentTensor) {
  const std::string bytes = *WriteSafetensors(Example());
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string broken = bytes;
    for (unsigned flips = 1 + random() % 3; flips > 0; --flips) {
      broken[random() % broken.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto file = ReadSafetensors(broken);
    if (!file.ok()) continue;
    for (const auto& [name, tensor] : file->tensors) {
      size_t count = 1;
      for (const int64_t dim : tensor.shape) count *= static_cast<size_t>(dim);
      EXPECT_EQ(count, tensor.data.size());
    }
  }
}

TEST(Safetensors, HostileHeadersAreRefused) {
  const struct {
    const char* header;
    size_t data;
    const char* why;
  } cases[] = {
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       12, "overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
       12, "gap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "hold"},
      {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       "more elements"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4,
       "whole number"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "whole number"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "whole number"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "not within"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}})", 4, "not within"},
      {R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8, "F32"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       4, "twice"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "data_offsets"},
      {R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "empty name"},
      {R"({"__metadata__":{"a":1}})", 0, "not a string"},
      {R"({"__metadata__":[]})", 0, "not an object"},
      {R"([])", 0, "not a JSON object"},
      {R"({"a")", 0, "not JSON"},
  };
  for (const auto& c : cases) {
    const auto file = ReadSafetensors(Bytes(c.header, c.data));
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << c.header;
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(c.why));
  }
  EXPECT_FALSE(ReadSafetensors(std::string(8, '\xff')).ok());
  EXPECT_FALSE(ReadSafetensors(Bytes(std::string(1 << 19, '['), 0)).ok());
  EXPECT_FALSE(ReadSafetensors(Bytes(std::string((1 << 20) + 8, ' '), 0)).ok());
}

TEST(Safetensors, TensorsThatCannotBeWrittenAreRefused) {
  for (const std::string name : {"", "__metadata__", "\xff"}) {
    TensorFile file;
    file.tensors[name] = {{1}, {1}};
    EXPECT_EQ(WriteSafetensors(file).status().code(), absl::StatusCode::kInvalidArgument);
  }
  TensorFile file;
  file.tensors["a"] = {{2}, {1}};
  EXPECT_EQ(WriteSafetensors(file).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Safetensors, LookUpsNameWhatIsWrong) {
  TensorFile file = Example();
  file.metadata["x"] = "1.5";
  file.metadata["list"] = "200,100";
  EXPECT_EQ((*FindTensor(file, "b", {1}))->data[0], -0.5f);
  EXPECT_EQ(FindTensor(file, "c", {1}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(FindTensor(file, "a.w0", {3, 2}).status().message()),
              HasSubstr("\"a.w0\": expected shape [3,2], got [2,3]"));
  EXPECT_EQ(*FindInt(file, "n"), 12);
  EXPECT_EQ(*FindDouble(file, "x"), 1.5);
  EXPECT_EQ(*FindInts(file, "list"), (std::vector<int>{200, 100}));
  EXPECT_EQ(JoinInts({200, 100}), "200,100");
  EXPECT_EQ(FindInt(file, "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindInts(file, "kind").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindText(file, "nothing").status().code(), absl::StatusCode::kNotFound);
}

/// Runs the Python of the build on a script with one argument.
int RunPython(const std::string& script, const std::string& path) {
  const char* python = std::getenv("TANDEM_PYTHON");
  const std::string command =
      std::string(python == nullptr ? "python3" : python) + " -c '" + script + "' '" + path + "'";
  return std::system(command.c_str());
}

TEST(Safetensors, PythonReadsOursAndWeReadPythons) {
  const std::string path =
      ::testing::TempDir() + "/tandem_" + std::to_string(::getpid()) + ".safetensors";
  std::ofstream(path, std::ios::binary) << *WriteSafetensors(Example());
  ASSERT_EQ(RunPython(R"(
import sys, numpy
from safetensors import safe_open
from safetensors.numpy import save_file
tensors = {}
with safe_open(sys.argv[1], "np") as f:
    assert f.metadata()["n"] == "12", f.metadata()
    for key in f.keys():
        tensors[key] = f.get_tensor(key)
assert tensors["a.w0"].tolist() == [[1, 2, 3], [4, 5, 6]], tensors
assert tensors["void"].shape == (0, 4)
tensors["b"] = tensors["b"] * 2
save_file(tensors, sys.argv[1], metadata={"from": "python"}))",
                      path),
            0);
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  const auto file = ReadSafetensors(text.str());
  ::unlink(path.c_str());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata.at("from"), "python");
  EXPECT_EQ(file->tensors.at("b").data, (std::vector<float>{-1}));
  EXPECT_EQ(file->tensors.at("a.w0").shape, (std::vector<int64_t>{2, 3}));
}

}  // namespace
}  // namespace tandem::nn
