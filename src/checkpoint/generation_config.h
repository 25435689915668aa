// generation_config.json: how the model's authors want its answers sampled, and where they end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace beryl::checkpoint {

// The defaults are what Google publishes with every instruction-tuned Gemma 4. A field that is absent, or
// null, keeps its default; so do all of them when there is no file.
struct GenerationConfig {
  // Tokens that end an answer, ascending, each once; never empty. The defaults are <eos>, <|tool_response>
  // and <turn|>.
  std::vector<int32_t> eos_token_ids = {1, 50, 106};
  std::optional<int32_t> bos_token_id;
  std::optional<int32_t> pad_token_id;
  // False: always the most likely token, whatever the next four fields say. The repetition penalty holds in
  // either case.
  bool do_sample = true;
  float temperature = 1.0F;         // [0, 2]
  int32_t top_k = 64;               // >= 1; 0: no limit
  float top_p = 0.95F;              // [0, 1]
  float min_p = 0.0F;               // [0, 1]; 0: no limit
  float repetition_penalty = 1.0F;  // [0.01, 2]; 1: none
  // Tokens that must never be produced, sampled or not, ascending, each once. The 12B model depends on it.
  std::vector<int32_t> suppress_tokens;
};

// Parses the file's JSON; `source` names it in errors. Token ids must be below `vocabulary_size`; fields that
// the struct does not have are ignored. Errors: kInvalidInput naming the field, its value and its range.
GenerationConfig parse_generation_config(const nlohmann::json& config, int64_t vocabulary_size,
                                         std::string_view source);

// That of a model directory, or the defaults when it has no generation_config.json. Errors: as above, and
// those of reading a file.
GenerationConfig load_generation_config(const std::filesystem::path& directory, int64_t vocabulary_size);

}  // namespace beryl::checkpoint
