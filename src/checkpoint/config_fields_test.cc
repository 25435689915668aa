#include "checkpoint/config_fields.h"

#include <gmock/gmock.h>

#include <functional>

#include "base/error.h"

namespace beryl::checkpoint {
namespace {

using ::testing::HasSubstr;

const nlohmann::json kObject = nlohmann::json::parse(R"({
  "three": 3, "half": 0.5, "huge": 18446744073709551615, "yes": true, "word": "gemma", "nothing": null, "list": [1]})");

std::string message_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    return error.message();
  }
  return "no error";
}

TEST(ConfigFieldsTest, ReadsFieldsOfTheirTypes) {
  const ConfigFields fields(kObject, "here");
  EXPECT_EQ(fields.find_integer("three", 0, 3), 3);
  EXPECT_EQ(fields.integer("three", 3, 9), 3);
  EXPECT_EQ(fields.find_number("half", 0, 0.5), 0.5);
  EXPECT_EQ(fields.find_number("three", 0, 9), 3.0);
  EXPECT_EQ(fields.find_bool("yes"), true);
  EXPECT_EQ(fields.find_string("word"), "gemma");
}

TEST(ConfigFieldsTest, NullCountsAsAbsent) {
  const ConfigFields fields(kObject, "here");
  for (const char* name : {"nothing", "absent"}) {
    EXPECT_EQ(fields.find(name), nullptr);
    EXPECT_EQ(fields.find_integer(name, 0, 9), std::nullopt);
    EXPECT_EQ(fields.find_number(name, 0, 9), std::nullopt);
    EXPECT_EQ(fields.find_bool(name), std::nullopt);
    EXPECT_EQ(fields.find_string(name), std::nullopt);
  }
  EXPECT_TRUE(fields.contains("nothing"));
  EXPECT_FALSE(fields.contains("absent"));
}

TEST(ConfigFieldsTest, ErrorsNameFieldFoundAndExpected) {
  const ConfigFields fields(kObject, "here");
  EXPECT_EQ(message_of([&] { fields.integer("absent", 1, 9); }),
            "here: absent is missing, expected an integer from 1 to 9");
  EXPECT_EQ(message_of([&] { fields.integer("three", 4, 9); }),
            "here: three is 3, expected an integer from 4 to 9");
  EXPECT_EQ(message_of([&] { (void)fields.find_integer("half", 0, 9); }),
            "here: half is 0.5, expected an integer from 0 to 9");
  EXPECT_EQ(message_of([&] { (void)fields.find_number("half", 1, 9); }),
            "here: half is 0.5, expected a number from 1 to 9");
  EXPECT_EQ(message_of([&] { (void)fields.find_number("word", 1, 9); }),
            "here: word is \"gemma\", expected a number from 1 to 9");
  EXPECT_EQ(message_of([&] { (void)fields.find_bool("three"); }), "here: three is 3, expected true or false");
  EXPECT_EQ(message_of([&] { (void)fields.find_string("list"); }), "here: list is [1], expected a string");
}

TEST(ConfigFieldsTest, IntegersBeyond63BitsAreOutOfRange) {
  const ConfigFields fields(kObject, "here");
  EXPECT_THAT(message_of([&] { (void)fields.find_integer("huge", 0, INT64_MAX); }),
              HasSubstr("huge is 18446744073709551615, expected an integer"));
}

TEST(ConfigFieldsTest, LongValuesAreCutInMessages) {
  const nlohmann::json object = {{"text", std::string(10'000, 'x')}};
  const ConfigFields fields(object, "here");
  const std::string message = message_of([&] { (void)fields.find_bool("text"); });
  EXPECT_LT(message.size(), 150U);
  EXPECT_THAT(message, HasSubstr("xxx..."));
}

TEST(ConfigFieldsTest, OtherThanObjectsAreRefused) {
  for (const char* text : {"[1]", "3", "null", "\"x\""}) {
    const nlohmann::json value = nlohmann::json::parse(text);
    EXPECT_THAT(message_of([&] { const ConfigFields fields(value, "here"); }),
                HasSubstr("expected an object"));
  }
}

}  // namespace
}  // namespace beryl::checkpoint
