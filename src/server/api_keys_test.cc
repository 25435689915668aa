#include "server/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ApiKeys, FindsKeysByTheirWhole) {
  ApiKeys keys;
  keys.add("abc");
  keys.add("abcd", "long");
  EXPECT_EQ(keys.find_label("abc"), "key 1");
  EXPECT_EQ(keys.find_label("abcd"), "long");
  for (const std::string wrong : {"", "ab", "abcde", "ABC", "abc ", " abc"}) {
    EXPECT_EQ(keys.find_label(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(ApiKeys().find_label(""), std::nullopt);
}

TEST(ApiKeys, RefusesKeysThatNoHeaderCanCarry) {
  ApiKeys keys;
  keys.add(std::string(512, 'a'));
  for (const std::string& wrong :
       {std::string(), std::string(513, 'a'), std::string("se cret"), std::string("secret\n"),
        std::string("s\xc3\xa9"
                    "cret")}) {
    try {
      keys.add(wrong);
      ADD_FAILURE() << "taken: " << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_THAT(error.message(), Not(HasSubstr("cret")));
    }
  }
}

TEST(ApiKeys, ReadsAFileOfKeys) {
  const TemporaryDirectory folder;
  const auto file = folder.write(
      "keys", "# keys of the house\n\nfirst-key\r\n  second-key \t Bob's laptop\n#old-key\nlast-key");
  ApiKeys keys;
  keys.add_file(file);
  EXPECT_EQ(keys.size(), 3U);
  EXPECT_EQ(keys.find_label("first-key"), "key 1");
  EXPECT_EQ(keys.find_label("second-key"), "Bob's laptop");
  EXPECT_EQ(keys.find_label("last-key"), "key 3");
  EXPECT_EQ(keys.find_label("old-key"), std::nullopt);
}

TEST(ApiKeys, NamesTheLineButNotTheKey) {
  const TemporaryDirectory folder;
  const auto file = folder.write("keys",
                                 "good\nse\x01"
                                 "cret\n");
  ApiKeys keys;
  try {
    keys.add_file(file);
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("line 2"));
    EXPECT_THAT(error.message(), Not(HasSubstr("cret")));
  }
  EXPECT_THROW(keys.add_file(folder.write("empty", "# nothing\n")), Error);
  EXPECT_THROW(keys.add_file(folder.path() / "absent"), Error);
}

TEST(ApiKeys, AreReadFromEitherHeader) {
  EXPECT_EQ(presented_key("Bearer abc", ""), "abc");
  EXPECT_EQ(presented_key("bearer  abc ", "other"), "abc");
  EXPECT_EQ(presented_key("", "abc"), "abc");
  EXPECT_EQ(presented_key("Basic abc", ""), "");
  EXPECT_EQ(presented_key("Bearer", ""), "");
  EXPECT_EQ(presented_key("", ""), "");
}

}  // namespace
}  // namespace beryl::server
