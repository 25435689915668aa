#include "checkpoint/gguf_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/quote.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/gguf_names.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".gguf";
constexpr std::string_view kRotaryFactors = "rope_freqs.weight";
constexpr std::array<std::string_view, 5> kCompanions = {"config.json", "generation_config.json",
                                                         "tokenizer.json", "tokenizer_config.json",
                                                         "chat_template.jinja"};

// NAME-00002-of-00003.gguf taken apart.
struct PartName {
  std::string stem;
  uint32_t number = 0;  // from 1
  uint32_t count = 0;

  std::string text(uint32_t part) const { return fmt::format("{}-{:05}-of-{:05}.gguf", stem, part, count); }
};

std::optional<PartName> find_part_name(std::string_view name) {
  constexpr std::string_view kPattern = "-00000-of-00000.gguf";
  if (name.size() <= kPattern.size()) return std::nullopt;
  PartName part = {.stem = std::string(name.substr(0, name.size() - kPattern.size()))};
  const std::string_view tail = name.substr(part.stem.size());
  const auto read = [&](size_t offset, uint32_t& number) {
    const char* begin = tail.data() + offset;
    return std::from_chars(begin, begin + 5, number).ptr == begin + 5;
  };
  if (!read(1, part.number) || !read(10, part.count)) return std::nullopt;
  const bool is_sound = part.number >= 1 && part.number <= part.count && part.text(part.number) == name;
  return is_sound ? std::optional(part) : std::nullopt;
}

std::vector<std::string> file_names(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("cannot list the directory '{}': {}", directory.string(), error.message()));
  }
  std::ranges::sort(names);
  return names;
}

// Whether the names are all parts of one model, and its first is there.
bool are_parts_of_one(const std::vector<std::string>& names) {
  const auto first = find_part_name(names.front());
  if (!first || first->number != 1) return false;
  return std::ranges::all_of(names, [&](const std::string& name) {
    const auto part = find_part_name(name);
    return part && part->stem == first->stem && part->count == first->count;
  });
}

[[noreturn]] void refuse_several(const fs::path& directory, const std::vector<std::string>& names) {
  constexpr size_t kShownMax = 4;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kShownMax); ++i) shown.push_back(quote(names[i]));
  const std::string more =
      names.size() > kShownMax ? fmt::format(" and {} more", names.size() - kShownMax) : "";
  throw Error(
      ErrorCode::kInvalidInput,
      fmt::format("'{}' holds several GGUF files: {}{}", directory.string(), fmt::join(shown, ", "), more),
      fmt::format("give one of them: '{}'", (directory / names.front()).string()));
}

// Opens the parts of a model one after the other.
class GgufOpener {
 public:
  GgufModel open(const GgufChoice& choice) {
    const fs::path directory = choice.file.parent_path();
    const std::string name = choice.file.filename().string();
    const auto part = find_part_name(name);
    GgufMetadata metadata;
    if (!part) {
      metadata = read_part(choice.file);
      if (metadata.find_integer("split.count", 0, UINT16_MAX).value_or(1) > 1) {
        metadata.fail("split.count", "1, as the file is not named like a part (NAME-00001-of-00003.gguf)");
      }
    } else {
      check_part_count(*part);
      for (uint32_t number = 1; number <= part->count; ++number) {
        GgufMetadata of_part = read_part(directory / part->text(number));
        with_context(quote(part->text(number)), [&] { check_part(of_part, *part, number); });
        if (number == 1) metadata = std::move(of_part);
      }
      check_tensor_count(metadata);
    }
    return make_model(std::move(metadata), choice.ignored_files);
  }

 private:
  GgufMetadata read_part(const fs::path& path) {
    Shard& shard = shards_.emplace_back(Shard{File(path), {}});
    GgufHeader header = read_gguf_header(shard.file);
    for (TensorRecord& tensor : header.tensors) tensors_.push_back(std::move(tensor));
    return std::move(header.metadata);
  }

  static void check_part_count(const PartName& part) {
    if (part.count <= kGgufPartsMax) return;
    throw Error(ErrorCode::kInvalidInput, fmt::format("'{}' is one of {} parts, at most {} are allowed",
                                                      part.text(part.number), part.count, kGgufPartsMax));
  }

  static void check_part(const GgufMetadata& metadata, const PartName& part, uint32_t number) {
    if (metadata.integer("split.count", 0, UINT16_MAX) != part.count) {
      metadata.fail("split.count", fmt::format("{}, as the file's name says", part.count));
    }
    if (metadata.integer("split.no", 0, UINT16_MAX) != number - 1) {
      metadata.fail("split.no", fmt::format("{}, as the file's name says", number - 1));
    }
  }

  void check_tensor_count(const GgufMetadata& metadata) const {
    const auto count = static_cast<int64_t>(tensors_.size());
    if (metadata.find_integer("split.tensors.count", 0, INT32_MAX).value_or(count) != count) {
      metadata.fail("split.tensors.count", fmt::format("{}, as the parts together hold", count));
    }
  }

  GgufModel make_model(GgufMetadata metadata, const std::vector<std::string>& ignored_files) {
    ModelConfig config = read_model_config(metadata, tensors_);
    GenerationConfig generation = read_generation_config(metadata, config.vocabulary_size);
    const auto factors = std::ranges::find(tensors_, kRotaryFactors, &TensorRecord::name);
    if (factors == tensors_.end()) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("there is no tensor '{}', which says what turns in full attention layers",
                              kRotaryFactors),
                  "convert the model again with a current converter");
    }
    check_rotary_factors(*factors, config);
    tensors_.erase(factors);

    TensorTable table;
    for (TensorRecord& tensor : tensors_) {
      refuse_separate_experts(tensor.name);
      if (auto name = name_from_gguf(tensor.name)) tensor.name = std::move(*name);
      table.add(std::move(tensor));
    }
    return {.shards = ShardSet(std::move(shards_), std::move(table), ignored_files),
            .metadata = std::move(metadata),
            .config = std::move(config),
            .generation = std::move(generation)};
  }

  static void refuse_separate_experts(std::string_view name) {
    for (const std::string_view part : {".ffn_gate_exps.", ".ffn_up_exps."}) {
      if (name.find(part) == std::string_view::npos) continue;
      throw Error(
          ErrorCode::kUnsupported,
          fmt::format("tensor '{}': experts with gate and up in separate tensors are not supported yet",
                      name),
          "give a file with ffn_gate_up_exps tensors, as llama.cpp's converter writes them");
    }
  }

  std::deque<Shard> shards_;
  std::vector<TensorRecord> tensors_;
};

}  // namespace

std::optional<GgufChoice> find_gguf_file(const fs::path& model) {
  std::error_code ignored;
  if (!fs::is_directory(model, ignored)) return GgufChoice{.file = model, .ignored_files = {}};
  const std::vector<std::string> names = file_names(model);
  std::vector<std::string> candidates;
  GgufChoice choice;
  for (const std::string& name : names) {
    if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return std::nullopt;
    const bool is_tower = name.starts_with("mmproj") || name.find("-mmproj-") != std::string::npos;
    const bool is_gguf = name.ends_with(kEnding);
    if (is_gguf && !is_tower) {
      candidates.push_back(name);
    } else if (is_gguf || std::ranges::find(kCompanions, name) != kCompanions.end()) {
      choice.ignored_files.push_back(name);
    }
  }
  if (candidates.empty()) return std::nullopt;
  if (candidates.size() > 1 && !are_parts_of_one(candidates)) refuse_several(model, candidates);
  choice.file = model / candidates.front();
  return choice;
}

GgufModel open_gguf(const GgufChoice& choice) {
  return GgufOpener().open(choice);
}

GgufMetadata read_gguf_metadata(const fs::path& file) {
  const auto part = find_part_name(file.filename().string());
  const File opened(part ? file.parent_path() / part->text(1) : file);
  return read_gguf_header(opened).metadata;
}

}  // namespace beryl::checkpoint
