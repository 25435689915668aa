#include "text/template_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "text/template/reference_data.h"

namespace beryl::text {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TemplateSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(::testing::TempDir()) / directory_name();
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }

  // The template's text, or the error's message.
  std::string found(const fs::path& override_file = {}) const {
    try {
      return load_template_source(directory_, override_file).text;
    } catch (const Error& error) {
      return "error: " + error.message();
    }
  }

  fs::path directory_;

 private:
  static std::string directory_name() {
    const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    return std::string("beryl_template_source_") + test->name() + std::to_string(::getpid());
  }
};

TEST_F(TemplateSourceTest, PrefersTheOverrideThenTheFileThenTheConfig) {
  EXPECT_THAT(found(), HasSubstr("no chat template in"));
  write("tokenizer_config.json", R"({"chat_template": "from config"})");
  EXPECT_EQ(found(), "from config");
  write("chat_template.jinja", "from file");
  EXPECT_EQ(found(), "from file");
  write("mine.jinja", "mine");
  EXPECT_EQ(found(directory_ / "mine.jinja"), "mine");
  EXPECT_EQ(load_template_source(directory_).name, (directory_ / "chat_template.jinja").string());
}

TEST_F(TemplateSourceTest, ChoosesAmongNamedTemplates) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(found(), "d");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  EXPECT_EQ(found(), "r");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "a", "template": "r"}, {"name": "b", "template": "r"}]})");
  EXPECT_THAT(found(), HasSubstr("no template called \"default\""));
}

TEST_F(TemplateSourceTest, RefusesMalformedConfigs) {
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THAT(found(), HasSubstr("expected a string or a list"));
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default"}]})");
  EXPECT_THAT(found(), HasSubstr("objects with name and template"));
  write("tokenizer_config.json", R"({"chat_template": [)");
  EXPECT_THAT(found(), HasSubstr("not valid JSON"));
  write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_THAT(found(), HasSubstr("no chat template in"));
  write("tokenizer_config.json", R"([])");
  EXPECT_THAT(found(), HasSubstr("no chat template in"));
}

TEST(RevisionWarning, IsSilentOnCurrentTemplatesAndOthers) {
  EXPECT_EQ(revision_warning(
                chat_template_file("google-gemma-4-12B-26B-A4B-31B-it.chat_template.2026-07-09.jinja")),
            std::nullopt);
  EXPECT_EQ(revision_warning(chat_template_file("google-gemma-4-E2B-E4B-it.chat_template.2026-07-09.jinja")),
            std::nullopt);
  EXPECT_EQ(revision_warning("{{ messages[0].content }}"), std::nullopt);
}

TEST(RevisionWarning, SaysWhatOlderTemplatesBreak) {
  for (const char* name :
       {"google-gemma-4-large-it.chat_template.2026-05.jinja", "llamacpp-google-gemma-4-31B-it.jinja"}) {
    const auto warning = revision_warning(chat_template_file(name));
    ASSERT_TRUE(warning.has_value()) << name;
    EXPECT_THAT(*warning, HasSubstr("null arguments of tools read None"));
    EXPECT_THAT(*warning, HasSubstr("outside of any turn"));
    EXPECT_THAT(*warning, HasSubstr("--chat-template"));
    EXPECT_THAT(*warning, Not(HasSubstr("outdated form")));
  }
  const auto warning =
      revision_warning(chat_template_file("llamacpp-google-gemma-4-31B-it-interleaved.jinja"));
  ASSERT_TRUE(warning.has_value());
  EXPECT_THAT(*warning, HasSubstr("outdated form"));
}

}  // namespace
}  // namespace beryl::text
