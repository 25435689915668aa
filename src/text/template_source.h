// Where a checkpoint's chat template comes from, and whether it is one with known defects.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace beryl::text {

struct TemplateSource {
  std::string text;
  std::string name;  // for errors: the file's path, and where in it
};

// The template of the checkpoint in `model_directory`: `override_file` if that is not empty, else
// chat_template.jinja, else `chat_template` of tokenizer_config.json, which is a string or a list of named
// templates of which the one called "default" counts, or the only one. Errors: kNotFound when there is none,
// kInvalidInput when the files are malformed, kIo.
TemplateSource load_template_source(const std::filesystem::path& model_directory,
                                    const std::filesystem::path& override_file = {});

// For a Gemma 4 template from before July 2026: one sentence for the user that says what it gets wrong.
// Nothing for current templates and those of other models. Decided by what the text does, as copies carry no
// date.
std::optional<std::string> revision_warning(std::string_view template_text);

}  // namespace beryl::text
