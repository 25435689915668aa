#include "text/template_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "text/template/limits.h"

namespace beryl::text {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kConfigBytesMax = uint64_t{4} * 1024 * 1024;

TemplateSource load_file(const fs::path& path) {
  return {read_text_file(path, kTemplateBytesMax), path.string()};
}

// The template called "default" of a list of {"name", "template"}, or the only one.
TemplateSource choose_named(const nlohmann::json& list, const std::string& place) {
  const nlohmann::json* chosen = nullptr;
  for (const nlohmann::json& entry : list) {
    const bool is_complete = entry.is_object() && entry.contains("name") && entry["name"].is_string() &&
                             entry.contains("template") && entry["template"].is_string();
    if (!is_complete) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: expected a list of objects with name and template", place));
    }
    if (list.size() == 1 || entry["name"] == "default") chosen = &entry;
  }
  if (chosen == nullptr) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: no template called \"default\"", place),
                "choose a template file with --chat-template");
  }
  return {(*chosen)["template"].get<std::string>(), place};
}

}  // namespace

TemplateSource load_template_source(const fs::path& model_directory, const fs::path& override_file) {
  if (!override_file.empty()) return load_file(override_file);
  std::error_code ignored;
  const fs::path own_file = model_directory / "chat_template.jinja";
  if (fs::exists(own_file, ignored)) return load_file(own_file);
  const fs::path config_file = model_directory / "tokenizer_config.json";
  if (fs::exists(config_file, ignored)) {
    const nlohmann::json config =
        parse_json(read_text_file(config_file, kConfigBytesMax), config_file.string());
    const auto entry = config.is_object() ? config.find("chat_template") : config.end();
    const std::string place = config_file.string() + " chat_template";
    if (entry != config.end() && entry->is_string()) return {entry->get<std::string>(), place};
    if (entry != config.end() && entry->is_array()) return choose_named(*entry, place);
    if (entry != config.end() && !entry->is_null()) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a string or a list", place));
    }
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("no chat template in {}: neither chat_template.jinja nor chat_template in "
                          "tokenizer_config.json",
                          model_directory.string()),
              "this may be a base model; choose a template file with --chat-template");
}

std::optional<std::string> revision_warning(std::string_view text) {
  const auto has = [text](std::string_view part) { return text.find(part) != std::string_view::npos; };
  const bool is_gemma = has("<|turn>") && has("<|tool_call>");
  if (!is_gemma) return std::nullopt;
  std::vector<std::string_view> defects;
  if (!has("tool_call_id")) defects.push_back("tool results are read in an outdated form");
  if (!has("argument is none")) defects.push_back("null arguments of tools read None");
  if (!has("next_nt")) defects.push_back("what follows words beside a tool call stands outside of any turn");
  if (!has("preserve_thinking")) defects.push_back("the reasoning of earlier tool calls cannot be kept");
  if (defects.empty()) return std::nullopt;
  return fmt::format(
      "this chat template is older than Google's of July 2026: {}. Use the current chat_template.jinja of "
      "the "
      "original model, with --chat-template FILE",
      fmt::join(defects, "; "));
}

}  // namespace beryl::text
