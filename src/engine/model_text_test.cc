// The tokenizer and chat template of testdata/gguf/tokenizer.gguf, which holds those of the demo model as
// llama.cpp's converter writes them, against the demo model's own files.
#include "engine/model_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"

namespace beryl::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using text::SpecialOutput;
using text::SpecialTokens;

const fs::path kSource = BERYL_SOURCE_DIR;
const fs::path kDemo = kSource / "models/demo";
const fs::path kGguf = kSource / "testdata/gguf/tokenizer.gguf";

std::string refusal(const std::function<void()>& load, ErrorCode code) {
  try {
    load();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(ModelTextTest, TheTokenizerOfAGgufFileIsThatOfItsTokenizerJson) {
  const text::Tokenizer from_gguf = load_tokenizer(kGguf);
  const text::Tokenizer from_json = load_tokenizer(kDemo);
  ASSERT_EQ(from_gguf.vocabulary_size(), from_json.vocabulary_size());
  for (int32_t id = 0; id < from_json.vocabulary_size(); ++id) {
    EXPECT_EQ(from_gguf.token_text(id), from_json.token_text(id));
    EXPECT_EQ(from_gguf.is_special(id), from_json.is_special(id)) << from_json.token_text(id);
  }
  const auto vectors = nlohmann::json::parse(read_file(kSource / "testdata/tokenizer/demo_vectors.json"));
  ASSERT_GT(vectors["encode"].size(), 100U);
  for (const auto& entry : vectors["encode"]) {
    const std::string text = entry["text"];
    EXPECT_EQ(from_gguf.encode(text, SpecialTokens::kRecognise), entry["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(from_gguf.encode(text, SpecialTokens::kAsText), entry["plain_ids"].get<std::vector<int32_t>>());
  }
  for (const auto& entry : vectors["decode"]) {
    const auto ids = entry["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(from_gguf.decode(ids, SpecialOutput::kKeep), entry["text"].get<std::string>());
    EXPECT_EQ(from_gguf.decode(ids, SpecialOutput::kSkip), entry["text_without_specials"].get<std::string>());
  }
}

TEST(ModelTextTest, TokenizersAreFoundInFilesAndDirectories) {
  TemporaryDirectory directory;
  fs::copy(kGguf, directory.path() / "m.gguf");
  const int32_t size = load_tokenizer(kDemo / "tokenizer.json").vocabulary_size();
  EXPECT_EQ(load_tokenizer(directory.path()).vocabulary_size(), size);
  EXPECT_EQ(load_tokenizer(directory.path() / "m.gguf").vocabulary_size(), size);
  EXPECT_THAT(refusal([] { load_tokenizer("/nonexistent/m.gguf"); }, ErrorCode::kNotFound),
              HasSubstr("/nonexistent/m.gguf"));
}

// Changes a value of the file whose bytes keep their length.
TEST(ModelTextTest, OtherTokenizersAreRefused) {
  const auto with = [](std::string_view found, std::string_view replacement) {
    std::string file = read_file(kGguf);
    const size_t at = file.find(found);
    EXPECT_NE(at, std::string::npos) << found;
    file.replace(at, found.size(), replacement);
    return file;
  };
  TemporaryDirectory directory;
  const auto load = [&](const std::string& file) {
    const fs::path path = directory.write("m.gguf", file);
    return [path] { load_tokenizer(path); };
  };
  const std::string kind("tokenizer.ggml.model\x08\0\0\0\x06\0\0\0\0\0\0\0gemma4", 38);
  std::string llama = kind;
  llama.replace(32, 6, "llama3");
  EXPECT_THAT(refusal(load(with(kind, llama)), ErrorCode::kUnsupported),
              HasSubstr("tokenizer.ggml.model is 'llama3', expected 'gemma4'"));
  EXPECT_THAT(refusal(load(with("tokenizer.ggml.model", "tokenizer.ggml.mode_")), ErrorCode::kNotFound),
              HasSubstr("the file has no tokenizer"));
  EXPECT_THAT(refusal(load(with("tokenizer.ggml.merges", "tokenizer.ggml.merge_")), ErrorCode::kInvalidInput),
              HasSubstr("tokenizer.ggml.merges is absent"));
  EXPECT_THAT(
      refusal(load(with("tokenizer.ggml.token_type", "tokenizer.ggml.token_typ_")), ErrorCode::kInvalidInput),
      HasSubstr("tokenizer.ggml.token_type is absent"));
  const std::string prefix("add_space_prefix\x07\0\0\0\0", 21);
  std::string with_prefix = prefix;
  with_prefix.back() = 1;
  EXPECT_THAT(refusal(load(with(prefix, with_prefix)), ErrorCode::kInvalidInput),
              HasSubstr("tokenizer.ggml.add_space_prefix is true, expected false"));
}

// The checkpoints that llama.cpp's converter wrote from tiny models, with the random vocabulary that they
// have.
TEST(ModelTextTest, OpenedCheckpointsHaveTheirTokenizerAndTemplate) {
  const auto checkpoint =
      checkpoint::Checkpoint::open(kSource / "testdata/checkpoints/moe-gguf-q4_0/model.gguf");
  const text::Tokenizer tokenizer = load_model_tokenizer(checkpoint);
  EXPECT_EQ(tokenizer.vocabulary_size(), 512);
  EXPECT_EQ(tokenizer.find_special("<bos>"), 2);
  EXPECT_THAT(refusal([&] { load_model_template(checkpoint); }, ErrorCode::kNotFound),
              HasSubstr("model.gguf tokenizer.chat_template"));
  const fs::path file = kDemo / "chat_template.jinja";
  EXPECT_EQ(load_model_template(checkpoint, file).text, read_file(file));
}

TEST(ModelTextTest, DirectoriesKeepThemInFiles) {
  const auto checkpoint = checkpoint::Checkpoint::open(kDemo);
  EXPECT_EQ(load_model_tokenizer(checkpoint).vocabulary_size(), 2048);
  EXPECT_EQ(load_model_template(checkpoint).text, read_file(kDemo / "chat_template.jinja"));
}

}  // namespace
}  // namespace beryl::engine
