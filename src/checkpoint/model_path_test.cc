#include "checkpoint/model_path.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kMainCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr const char* kOldCommit = "89abcdef0123456789abcdef0123456789abcdef";

TEST(HubCache, IsPlacedByTheFirstVariableThatIsSet) {
  CacheEnvironment environment;
  EXPECT_EQ(find_hub_cache(environment), std::nullopt);
  environment.home = "/home/u";
  EXPECT_EQ(find_hub_cache(environment), fs::path("/home/u/.cache/huggingface/hub"));
  environment.xdg_cache_home = "/xdg";
  EXPECT_EQ(find_hub_cache(environment), fs::path("/xdg/huggingface/hub"));
  environment.hf_home = "~/hf";
  EXPECT_EQ(find_hub_cache(environment), fs::path("/home/u/hf/hub"));
  environment.hf_hub_cache = "/hub";
  EXPECT_EQ(find_hub_cache(environment), fs::path("/hub"));
}

// A cache with two models and a folder with two directories beside it.
class ModelPathTest : public ::testing::Test {
 protected:
  ModelPathTest() {
    environment_.hf_hub_cache = (directory_.path() / "hub").string();
    write_entry("models--google--gemma-4-26B-A4B-it", "main", kMainCommit);
    write_entry("models--google--gemma-4-26B-A4B-it", "refs/pr/1", kOldCommit);
    write_entry("models--google--gemma-4-31B-it", "main", std::string(kMainCommit) + "\n");
    directory_.write("models/demo/config.json", "{}");
    directory_.write("models/demo-fp8/model.safetensors", "");
    directory_.write("models/model.gguf", "");
  }

  fs::path entry(std::string_view folder) const { return directory_.path() / "hub" / folder; }
  void write_entry(std::string_view folder, std::string_view revision, std::string_view commit) {
    directory_.write(entry(folder) / "refs" / revision, commit);
    fs::create_directories(entry(folder) / "snapshots" / commit.substr(0, 40));
  }
  fs::path models(std::string_view name) const { return directory_.path() / "models" / name; }
  ModelPath resolve(const std::string& model) const { return resolve_model_path(model, environment_); }

  // "message | help" of the Error that resolving throws; "" when it succeeds.
  std::string refusal(const std::string& model) const {
    try {
      resolve(model);
    } catch (const Error& error) {
      EXPECT_FALSE(error.help().empty()) << error.message();
      return error.message() + " | " + error.help();
    }
    return "";
  }

  TemporaryDirectory directory_;
  CacheEnvironment environment_;
};

TEST_F(ModelPathTest, ADirectoryIsItself) {
  const ModelPath path = resolve(models("demo").string());
  EXPECT_EQ(path.path, models("demo"));
  EXPECT_EQ(path.name, "demo");
  EXPECT_EQ(path.commit, "");
  EXPECT_EQ(resolve(models("demo").string() + "/").name, "demo");
  EXPECT_EQ(resolve(models("demo/../demo/.").string()).name, "demo");
}

TEST_F(ModelPathTest, ALinkToADirectoryIsADirectory) {
  fs::create_directory_symlink(models("demo"), models("link"));
  EXPECT_EQ(resolve(models("link").string()).path, models("link"));
}

TEST_F(ModelPathTest, AnIdIsItsMainSnapshot) {
  const ModelPath path = resolve("google/gemma-4-26B-A4B-it");
  EXPECT_EQ(path.path, entry("models--google--gemma-4-26B-A4B-it") / "snapshots" / kMainCommit);
  EXPECT_EQ(path.name, "google/gemma-4-26B-A4B-it");
  EXPECT_EQ(path.commit, kMainCommit);
  // With a newline in the ref.
  EXPECT_EQ(resolve("google/gemma-4-31B-it").commit, kMainCommit);
}

TEST_F(ModelPathTest, ARevisionIsABranchOrACommit) {
  EXPECT_EQ(resolve("google/gemma-4-26B-A4B-it@refs/pr/1").commit, kOldCommit);
  EXPECT_EQ(resolve(fmt::format("google/gemma-4-26B-A4B-it@{}", kOldCommit)).commit, kOldCommit);
}

TEST_F(ModelPathTest, AnAbsentRevisionNamesACachedOne) {
  EXPECT_THAT(refusal("google/gemma-4-31B-it@v2"),
              AllOf(HasSubstr("no revision 'google/gemma-4-31B-it@v2'"), HasSubstr(kMainCommit)));
  EXPECT_THAT(refusal(fmt::format("google/gemma-4-31B-it@{}", kOldCommit)),
              AllOf(HasSubstr("holds no files of"), HasSubstr(kOldCommit)));
}

TEST_F(ModelPathTest, AnAbsentModelSuggestsCachedOnes) {
  EXPECT_THAT(refusal("google/gemma-4-26b-a4b"),
              AllOf(HasSubstr("model 'google/gemma-4-26b-a4b' not found"), HasSubstr("hub'"),
                    HasSubstr("did you mean 'google/gemma-4-26B-A4B-it'")));
  EXPECT_THAT(refusal("gemma-4-31B-it"), HasSubstr("did you mean 'google/gemma-4-31B-it'"));
  EXPECT_THAT(refusal("meta/llama"), HasSubstr("nothing is downloaded"));
}

TEST_F(ModelPathTest, AnAbsentDirectorySuggestsItsSiblings) {
  EXPECT_THAT(
      refusal(models("dmeo").string()),
      AllOf(HasSubstr("there is no directory"), HasSubstr("did you mean '"), HasSubstr("/models/demo'")));
  EXPECT_THAT(refusal("/nonexistent/deep/path"), HasSubstr("there is no directory '/nonexistent/deep/path'"));
  EXPECT_THAT(refusal("./nonexistent"), HasSubstr("there is no directory './nonexistent'"));
}

TEST_F(ModelPathTest, AFileIsExplained) {
  EXPECT_THAT(
      refusal(models("demo-fp8/model.safetensors").string()),
      AllOf(HasSubstr("is a file, expected the directory of a model"), HasSubstr("/models/demo-fp8'")));
}

TEST_F(ModelPathTest, AGgufFileIsItself) {
  const ModelPath path = resolve(models("model.gguf").string());
  EXPECT_EQ(path.path, models("model.gguf"));
  EXPECT_EQ(path.name, "model.gguf");
  // The cache keeps files under their hashes and links to them.
  fs::create_symlink(models("model.gguf"), models("demo/x.gguf"));
  EXPECT_EQ(resolve(models("demo/x.gguf").string()).name, "x.gguf");
  EXPECT_THAT(refusal(models("absent.gguf").string()), HasSubstr("there is no file '/"));
}

TEST_F(ModelPathTest, MalformedIdsAreRefused) {
  for (const char* model :
       {"org name/x", "org/", "org/na$me", "org/name@", "org/name@../../x", "org/name@a//b", "org/..",
        "or..g/name", "-org/name", "org/na--me", "\x1b[31m", "org/name@a@b"}) {
    EXPECT_NE(refusal(model), "") << model;
    EXPECT_EQ(refusal(model).find('\x1b'), std::string::npos);
  }
  EXPECT_THAT(refusal(""), HasSubstr("neither a directory nor an id"));
  EXPECT_THAT(refusal(std::string("a\0b", 3)), HasSubstr("neither a directory nor an id"));
  EXPECT_THAT(refusal("org/" + std::string(97, 'n')), HasSubstr("neither a directory nor an id"));
  EXPECT_NE(refusal(std::string(100'000, 'a')), "");
  EXPECT_NE(refusal(std::string(100'000, '/')), "");
}

TEST_F(ModelPathTest, ADamagedRefIsRefused) {
  for (const char* text : {"", "main", "../../../../etc", "0123456789ABCDEF0123456789ABCDEF01234567"}) {
    directory_.write(entry("models--google--gemma-4-31B-it") / "refs/main", text);
    EXPECT_THAT(refusal("google/gemma-4-31B-it"), HasSubstr("expected a commit of 40 hex digits")) << text;
  }
  directory_.write(entry("models--google--gemma-4-31B-it") / "refs/main", kOldCommit);
  EXPECT_THAT(refusal("google/gemma-4-31B-it"), HasSubstr("holds no files of 'google/gemma-4-31B-it@main'"));
}

TEST_F(ModelPathTest, WithoutACacheTheVariablesAreNamed) {
  environment_ = {};
  EXPECT_THAT(refusal("google/gemma-4-31B-it"),
              HasSubstr("HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME are unset"));
}

}  // namespace
}  // namespace beryl::checkpoint
