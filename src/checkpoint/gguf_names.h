// Names of tensors in GGUF files of Gemma 4, and what Hugging Face calls the same tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace beryl::checkpoint {

// "blk.3.attn_q.weight" -> "model.language_model.layers.3.self_attn.q_proj.weight". Nothing for names that
// are not in the table.
std::optional<std::string> name_from_gguf(std::string_view gguf_name);

// The way back, for messages. Nothing for names that no GGUF file has.
std::optional<std::string> name_to_gguf(std::string_view name);

// A message about a model, said for someone who has a GGUF file: quoted names of tensors and modules are that
// file's, and what is said of config.json is said of its metadata.
std::string message_for_gguf(std::string_view message);

}  // namespace beryl::checkpoint
