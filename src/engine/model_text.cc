#include "engine/model_text.h"

#include <fmt/format.h>

#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/gguf_files.h"
#include "text/template/limits.h"
#include "text/tokenizer_lists.h"

namespace beryl::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKindKey = "tokenizer.ggml.model";
constexpr std::string_view kTemplateKey = "tokenizer.chat_template";

// Keys that would make text something else before it is encoded. Gemma 4 does none of that.
void refuse_other_preparations(const checkpoint::GgufMetadata& metadata) {
  for (const std::string_view key :
       {"tokenizer.ggml.add_space_prefix", "tokenizer.ggml.remove_extra_whitespaces"}) {
    if (metadata.find_bool(key).value_or(false)) metadata.fail(key, "false");
  }
  constexpr std::string_view kCharacterMap = "tokenizer.ggml.precompiled_charsmap";
  if (metadata.contains(kCharacterMap)) metadata.fail(kCharacterMap, "no map of characters");
}

text::Tokenizer make_tokenizer(const checkpoint::GgufMetadata& metadata, const fs::path& file) {
  return with_context(fmt::format("'{}'", file.string()), [&] {
    const auto kind = metadata.find_string(kKindKey);
    if (!kind) {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("the file has no tokenizer: there is no key {}", kKindKey),
                  "convert the model again with a current converter");
    }
    if (*kind != "gemma4") {
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("{} is {}, expected 'gemma4'", kKindKey, quote(*kind, 60)),
                  "convert the model again with a current converter");
    }
    refuse_other_preparations(metadata);
    text::TokenizerLists lists;
    const auto strings = [&](std::string_view key) {
      auto list = metadata.find_strings(key);
      if (!list) metadata.fail(key, "an array of strings");
      return std::move(*list);
    };
    lists.tokens = strings("tokenizer.ggml.tokens");
    lists.merges = strings("tokenizer.ggml.merges");
    constexpr std::string_view kTypesKey = "tokenizer.ggml.token_type";
    auto types = metadata.find_integers(kTypesKey, INT32_MIN, INT32_MAX);
    if (!types) metadata.fail(kTypesKey, "an array of integers");
    lists.types = std::move(*types);
    return text::Tokenizer(text::make_tokenizer_tables(lists, metadata.source()));
  });
}

}  // namespace

text::Tokenizer load_model_tokenizer(const checkpoint::Checkpoint& checkpoint) {
  const checkpoint::GgufMetadata* gguf = checkpoint.gguf();
  text::Tokenizer tokenizer = gguf != nullptr ? make_tokenizer(*gguf, checkpoint.path())
                                              : text::load_tokenizer(checkpoint.path() / "tokenizer.json");
  if (tokenizer.vocabulary_size() > checkpoint.config().vocabulary_size) {
    const std::string_view source = gguf != nullptr ? "tokenizer.ggml.tokens" : "tokenizer.json";
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} has {} tokens, the model's vocabulary {}", source,
                            tokenizer.vocabulary_size(), checkpoint.config().vocabulary_size),
                "the tokenizer belongs to another model; take the one that was published with the weights");
  }
  return tokenizer;
}

text::Tokenizer load_tokenizer(const fs::path& model) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(model, ignored);
  if (is_directory || model.extension() == ".gguf") {
    if (const auto choice = checkpoint::find_gguf_file(model)) {
      return make_tokenizer(checkpoint::read_gguf_metadata(choice->file), choice->file);
    }
  }
  return text::load_tokenizer(is_directory ? model / "tokenizer.json" : model);
}

text::TemplateSource load_model_template(const checkpoint::Checkpoint& checkpoint,
                                         const fs::path& override_file) {
  const checkpoint::GgufMetadata* gguf = checkpoint.gguf();
  if (gguf == nullptr || !override_file.empty()) {
    return text::load_template_source(checkpoint.path(), override_file);
  }
  const std::string place = fmt::format("{} {}", checkpoint.path().string(), kTemplateKey);
  const auto found = gguf->find_string(kTemplateKey);
  if (!found) {
    throw Error(ErrorCode::kNotFound, fmt::format("no chat template: there is no {}", place),
                "this may be a base model; choose a template file with --chat-template");
  }
  if (found->size() > text::kTemplateBytesMax) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{} has {} bytes, at most {} are supported", place,
                                                      found->size(), text::kTemplateBytesMax));
  }
  return {std::string(*found), place};
}

}  // namespace beryl::engine
