#include "checkpoint/tensor_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ShapeText, ListsDimensions) {
  EXPECT_EQ(shape_text(std::vector<int64_t>{}), "[]");
  EXPECT_EQ(shape_text(std::vector<int64_t>{128, 1408, 2816}), "[128,1408,2816]");
}

TEST(TensorTable, FindsWhatWasAdded) {
  TensorTable table;
  EXPECT_EQ(table.find("a"), nullptr);
  table.add({.name = "b", .dtype = formats::DType::kF32, .shape = {2}, .range = {}});
  table.add({.name = "a", .dtype = formats::DType::kU8, .shape = {3}, .range = {}});
  ASSERT_NE(table.find("a"), nullptr);
  EXPECT_EQ(table.find("a")->dtype, formats::DType::kU8);
  EXPECT_EQ(table.find("ab"), nullptr);
  ASSERT_EQ(table.records().size(), 2U);
  EXPECT_EQ(table.records()[0].name, "b");
}

TEST(TensorTable, RefusesANameTwice) {
  const TemporaryDirectory directory;
  const File first(directory.write("first.safetensors", ""));
  const File second(directory.write("second.safetensors", ""));
  TensorTable table;
  table.add({.name = "a", .dtype = formats::DType::kU8, .shape = {}, .range = {.file = &first}});
  try {
    table.add({.name = "a", .dtype = formats::DType::kU8, .shape = {}, .range = {.file = &second}});
    FAIL() << "was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), AllOf(HasSubstr("tensor 'a' is present twice"),
                                       HasSubstr("first.safetensors"), HasSubstr("second.safetensors")));
  }
}

}  // namespace
}  // namespace beryl::checkpoint
