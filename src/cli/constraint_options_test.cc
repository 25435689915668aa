#include "cli/constraint_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <variant>

#include "base/error.h"

namespace beryl::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using text::grammar::ChoiceConstraint;
using text::grammar::GbnfConstraint;
using text::grammar::JsonSchemaConstraint;
using text::grammar::RegexConstraint;

struct Parsed {
  ConstraintOptions options;
  std::string prompt;
};

// What stands between the program's name and its end.
Parsed parse(std::vector<std::string> arguments) {
  Parsed parsed;
  CLI::App app;
  app.add_option("PROMPT", parsed.prompt);
  add_constraint_options(app, parsed.options);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(std::move(arguments));
  return parsed;
}

std::string written_file(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(::testing::TempDir()) / name;
  std::ofstream(path) << text;
  return path.string();
}

TEST(ConstraintOptions, AskForNothingByDefault) {
  EXPECT_FALSE(read_constraint(parse({"Hi"}).options));
}

TEST(ConstraintOptions, TakeChoicesBetweenCommasAndRepeatedOnes) {
  const Parsed parsed = parse({"--choices", "yes,no", "--choices", "not sure", "Is it?"});
  EXPECT_EQ(parsed.prompt, "Is it?");  // which is no choice
  const auto constraint = read_constraint(parsed.options);
  ASSERT_TRUE(constraint);
  EXPECT_THAT(std::get<ChoiceConstraint>(*constraint).choices, ElementsAre("yes", "no", "not sure"));
}

TEST(ConstraintOptions, ReadASchemaFromItsFileOrTheArgument) {
  const std::string text = R"( {"type": "integer"})";
  const std::string file = written_file("schema.json", text);
  for (const std::string& value : {file, text}) {
    const auto constraint = read_constraint(parse({"--json-schema", value}).options);
    ASSERT_TRUE(constraint);
    EXPECT_EQ(std::get<JsonSchemaConstraint>(*constraint).schema, text);
  }
}

TEST(ConstraintOptions, ReadAGrammarFromItsFileOrTheArgument) {
  const std::string text = "root ::= [0-9]+";
  const std::string file = written_file("digits.gbnf", text);
  for (const std::string& value : {file, text}) {
    const auto constraint = read_constraint(parse({"--grammar", value}).options);
    ASSERT_TRUE(constraint);
    EXPECT_EQ(std::get<GbnfConstraint>(*constraint).text, text);
  }
}

TEST(ConstraintOptions, TakeAnExpressionAsItIs) {
  const auto constraint = read_constraint(parse({"--regex", "a,{2}"}).options);
  ASSERT_TRUE(constraint);
  EXPECT_EQ(std::get<RegexConstraint>(*constraint).pattern, "a,{2}");
}

TEST(ConstraintOptions, ExcludeEachOther) {
  for (const std::string& first : constraint_flags()) {
    for (const std::string& second : constraint_flags()) {
      if (first == second) continue;
      EXPECT_THROW(parse({first, "{}", second, "{}"}), CLI::ExcludesError) << first << ' ' << second;
    }
  }
}

TEST(ConstraintOptions, NameAFileThatIsMissingOrTooLarge) {
  const auto refused = [](const std::string& flag, const std::string& value) {
    try {
      read_constraint(parse({flag, value}).options);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::kIo, "accepted");
  };
  const Error missing = refused("--json-schema", "no/such.json");
  EXPECT_EQ(missing.code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("'no/such.json'"));
  EXPECT_THAT(missing.help(), HasSubstr("begins with {"));
  EXPECT_THAT(refused("--grammar", "no/such.gbnf").help(), HasSubstr("root ::="));
  const std::string large = written_file("large.gbnf", std::string(300 * 1024, '#'));
  EXPECT_THAT(refused("--grammar", large).message(), HasSubstr("307200 bytes, at most 262144"));
}

}  // namespace
}  // namespace beryl::cli
