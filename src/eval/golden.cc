#include "eval/golden.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_table.h"

namespace beryl::eval {
namespace {

using checkpoint::TensorRecord;

constexpr uint64_t kModuleListBytesMax = uint64_t{64} << 20;

class GoldenReader {
 public:
  explicit GoldenReader(const std::filesystem::path& path) : file_(path) {
    for (TensorRecord& record : checkpoint::read_safetensors_header(file_).tensors)
      table_.add(std::move(record));
  }

  bool has(const std::string& name) const { return table_.find(name) != nullptr; }

  template <typename T>
  std::vector<T> read(const std::string& name, formats::DType dtype, size_t rank) const {
    const TensorRecord* record = table_.find(name);
    if (record == nullptr || record->dtype != dtype || record->shape.size() != rank) {
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format(
              "'{}': tensor '{}' is {}, expected {} of {} dimensions", file_.path().string(), name,
              record ? std::string(formats::dtype_name(record->dtype)) + checkpoint::shape_text(record->shape)
                     : "missing",
              formats::dtype_name(dtype), rank),
          "a golden file holds prompt0.input_ids, prompt0.logits, prompt0.greedy and "
          "prompt0.greedy_margin, and so on for more prompts");
    }
    std::vector<T> values(record->range.bytes / sizeof(T));
    file_.read(record->range.offset, std::as_writable_bytes(std::span(values)));
    return values;
  }

  GoldenPrompt read_prompt(size_t index) const {
    const std::string prefix = fmt::format("prompt{}.", index);
    GoldenPrompt prompt = {.input_ids = read<int32_t>(prefix + "input_ids", formats::DType::kI32, 1),
                           .logits = read<float>(prefix + "logits", formats::DType::kF32, 2),
                           .greedy = read<int32_t>(prefix + "greedy", formats::DType::kI32, 1),
                           .greedy_margin = read<float>(prefix + "greedy_margin", formats::DType::kF32, 1),
                           .hidden = {}};
    while (has(fmt::format("{}hidden{}", prefix, prompt.hidden.size()))) {
      prompt.hidden.push_back(
          read<float>(fmt::format("{}hidden{}", prefix, prompt.hidden.size()), formats::DType::kF32, 2));
    }
    if (prompt.input_ids.empty() || prompt.greedy.size() != prompt.greedy_margin.size()) {
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("'{}': prompt {} has {} input ids, {} greedy tokens and {} margins; expected at least "
                      "one input id, and as many margins as greedy tokens",
                      file_.path().string(), index, prompt.input_ids.size(), prompt.greedy.size(),
                      prompt.greedy_margin.size()));
    }
    return prompt;
  }

 private:
  File file_;
  checkpoint::TensorTable table_;
};

}  // namespace

GoldenFile load_golden(const std::filesystem::path& path) {
  const GoldenReader reader(path);
  GoldenFile golden;
  do {
    golden.prompts.push_back(reader.read_prompt(golden.prompts.size()));
  } while (reader.has(fmt::format("prompt{}.input_ids", golden.prompts.size())));
  return golden;
}

std::vector<GoldenModule> load_golden_modules(const std::filesystem::path& path) {
  const nlohmann::json list = parse_json(read_text_file(path, kModuleListBytesMax), path.string());
  std::vector<GoldenModule> modules;
  try {
    for (const auto& [name, entry] : list.items()) {
      modules.push_back({.name = name,
                         .shape = entry.at("shape").get<std::vector<int64_t>>(),
                         .sha256 = entry.at("sha256").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("'{}': expected an object of modules with \"shape\" and \"sha256\"", path.string()));
  }
  return modules;
}

}  // namespace beryl::eval
