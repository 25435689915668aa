// The configuration that a GGUF file carries in its metadata, in place of config.json and
// generation_config.json.
#pragma once

#include <span>

#include "checkpoint/generation_config.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/model_config.h"
#include "checkpoint/tensor_table.h"

namespace beryl::checkpoint {

// From the `gemma4.*` keys, and from `tensors` (all of the model, by GGUF's names) what no key says: the
// sizes of the vocabularies, whether there is a head of its own, and in which layers the values are the keys.
// Errors: kUnsupported for another architecture and for what Gemma 4 does not have; kInvalidInput for keys
// that are missing, out of range or contradict each other or the tensors. Messages name the key.
ModelConfig read_model_config(const GgufMetadata& metadata, std::span<const TensorRecord> tensors);

// Checks rope_freqs.weight, from which other programs learn which pairs of a head turn in full layers: a
// quarter, as `config` has it. Reads it. Errors: kInvalidInput when it says anything else; kIo.
void check_rotary_factors(const TensorRecord& tensor, const ModelConfig& config);

// From the `general.sampling.*` keys and the tokens' ids in `tokenizer.ggml.*`. Tokens that end an answer are
// those that the keys name and, as for llama.cpp, <turn|> and <|tool_response> where the vocabulary has them.
// Errors: kInvalidInput naming the key.
GenerationConfig read_generation_config(const GgufMetadata& metadata, int64_t vocabulary_size);

}  // namespace beryl::checkpoint
