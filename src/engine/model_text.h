// A model's tokenizer and chat template, from wherever its checkpoint keeps them: files of its directory, or
// the metadata of a GGUF file.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "text/template_source.h"
#include "text/tokenizer.h"

namespace beryl::engine {

// The tokenizer of an opened checkpoint. Errors: as below, and kInvalidInput when it has more tokens than the
// model.
text::Tokenizer load_model_tokenizer(const checkpoint::Checkpoint& checkpoint);

// The tokenizer of a directory, a GGUF file, or a tokenizer.json; weights are not looked at. Errors: as
// load_tokenizer(), find_gguf_file(), read_gguf_metadata() and make_tokenizer_tables(); kUnsupported for a
// GGUF file with another kind of tokenizer than Gemma 4's.
text::Tokenizer load_tokenizer(const std::filesystem::path& model);

// The chat template of an opened checkpoint, or `override_file` if that is not empty. Errors: as
// load_template_source(); kNotFound for a GGUF file without a template.
text::TemplateSource load_model_template(const checkpoint::Checkpoint& checkpoint,
                                         const std::filesystem::path& override_file = {});

}  // namespace beryl::engine
