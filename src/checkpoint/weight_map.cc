#include "checkpoint/weight_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/expected_weights.h"

namespace beryl::checkpoint {
namespace {

// Names in one message; the rest is counted.
constexpr size_t kNamesShown = 8;

std::string name_list(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesShown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (shown < names.size()) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

// "1 weight is missing: a" / "3 weights are missing: a, b, c".
std::string counted(std::string_view noun, std::string_view fault, const std::vector<std::string>& names) {
  const bool is_one = names.size() == 1;
  return fmt::format("{} {}{} {} {}: {}", names.size(), noun, is_one ? "" : "s", is_one ? "is" : "are", fault,
                     name_list(names));
}

}  // namespace

class WeightMapBuilder {
 public:
  WeightMapBuilder(const TensorTable& table, const ModelConfig& config,
                   const QuantizationConfig& quantization)
      : table_(table), config_(config), quantization_(quantization), expected_(expected_weights(config)) {}

  WeightMap build() {
    check_method();
    group_modules();
    for (const auto& [name, module] : modules_) read_module(module);
    check_complete();
    note_if_nothing_is_quantised();
    return std::move(map_);
  }

 private:
  void check_method() {
    if (!quantization_.is_present()) return;
    const auto schemes = quantization_.schemes();
    has_unreadable_scheme_ =
        !std::all_of(schemes.begin(), schemes.end(),
                     [&](const QuantizationScheme& scheme) { return is_readable(scheme); });
    for (const Dialect* dialect : all_dialects()) {
      if (dialect->owns_method(quantization_.method())) return;
    }
    throw Error(ErrorCode::kUnsupported,
                fmt::format("quantisation method '{}' is not supported yet", quantization_.method()),
                fmt::format("supported: {}", supported_quantisations()));
  }

  // A module that the configuration stores in a way no dialect reads: named by its format, which says more
  // than the tensors that would be missing or misshapen.
  void check_scheme(const Module& module) const {
    if (!quantization_.expects_quantised(module.role, module.name)) return;
    const QuantizationScheme& scheme = *quantization_.find_scheme(module.role, module.name);
    if (is_readable(scheme)) return;
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("'{}' is quantised by {} in format '{}' ({} with {} bits, strategy '{}'), which is "
                    "not supported yet",
                    module.name, quantization_.method(), scheme.format, scheme.type, scheme.bits,
                    scheme.strategy),
        fmt::format("supported: {}", supported_quantisations()));
  }

  bool is_readable(const QuantizationScheme& scheme) const {
    const auto dialects = all_dialects();
    return std::any_of(dialects.begin(), dialects.end(), [&](const Dialect* dialect) {
      return dialect->owns_method(quantization_.method()) && dialect->reads(scheme);
    });
  }

  // Sorts all tensors into modules, things skipped and things unknown.
  void group_modules() {
    std::vector<std::string> unknown;
    for (const TensorRecord& record : table_.records()) {
      const TensorName name = parse_tensor_name(record.name);
      switch (name.kind) {
        case TensorName::Kind::kWeight: {
          Module& module = modules_[name.module];
          module.name = name.module;
          module.role = name.role;
          module.tensors.emplace_back(name.suffix, &record);
          break;
        }
        case TensorName::Kind::kTower:
          map_.skipped_.push_back({record.name, "vision or audio tower; only text is supported"});
          break;
        case TensorName::Kind::kKvCacheScale:
          map_.skipped_.push_back(
              {record.name, "scale of a quantised key/value cache; the cache is not quantised"});
          break;
        case TensorName::Kind::kUnknown:
          unknown.push_back(record.name);
          break;
      }
    }
    if (!unknown.empty()) {
      throw Error(ErrorCode::kInvalidInput, counted("tensor", "unknown", unknown),
                  "a tensor that is not understood could change every result, so the checkpoint is refused");
    }
  }

  void read_module(const Module& module) {
    const ExpectedWeight* expected = find_expected(module.role);
    if (expected == nullptr) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("tensor '{}' has no place in the network that config.json describes",
                              module.tensors.front().second->name),
                  unexpected_help(module.role));
    }
    if (expected->presence == Presence::kIgnored) {
      for (const auto& [suffix, record] : module.tensors) {
        map_.skipped_.push_back({record->name, "the layer reuses another layer's keys and values"});
      }
      return;
    }
    if (has_unreadable_scheme_) check_scheme(module);
    const Dialect& dialect = find_dialect(module);
    const ModuleShape shape = shape_of(module.role, *expected);
    ModuleReading reading = dialect.read(module, shape, quantization_);
    BERYL_CHECK(static_cast<int64_t>(reading.matrices.size()) == shape.matrix_count());
    for (const auto& [record, reason] : reading.skipped) map_.skipped_.push_back({record->name, reason});
    for (const std::string_view text : reading.notes) add_note(text, module);
    fill(module, dialect, std::move(reading.matrices));
  }

  // Fused experts stand for the weights of all experts of their layer.
  const ExpectedWeight* find_expected(const Role& role) const {
    Role single = role;
    if (const auto part = part_of_one_expert(role.part)) single = {*part, role.layer, 0};
    const auto position = expected_.find(single);
    return position == expected_.end() ? nullptr : &position->second;
  }

  ModuleShape shape_of(const Role& role, const ExpectedWeight& expected) const {
    ModuleShape shape = {
        .experts = 0, .rows = expected.rows, .cols = expected.cols, .is_vector = expected.is_vector};
    if (part_of_one_expert(role.part)) shape.experts = config_.expert_count;
    if (role.part == Part::kFusedExpertsGateUp) shape.rows *= 2;  // gate rows, then up rows
    return shape;
  }

  void add_note(std::string_view text, const Module& module) {
    for (Note& note : map_.notes_) {
      if (note.text != text) continue;
      ++note.modules;
      return;
    }
    map_.notes_.push_back({.text = text, .modules = 1, .example = module.name});
  }

  // Dialects of the configuration's method, and those that need none, come first. Another one that recognises
  // the tensors says best what is wrong.
  const Dialect& find_dialect(const Module& module) const {
    const Dialect* other = nullptr;
    for (const Dialect* dialect : all_dialects()) {
      if (!dialect->recognises(module)) continue;
      if (dialect->methods().empty() || dialect->owns_method(quantization_.method())) return *dialect;
      if (other == nullptr) other = dialect;
    }
    if (other != nullptr && !quantization_.is_present()) return *other;
    if (other != nullptr) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("'{}' is stored in the way of {} ({}), but config.json has quant_method \"{}\"",
                              module.name, other->name(), module.suffix_list(), quantization_.method()),
                  "config.json does not belong to these weights; take the one that was published with them");
    }
    std::vector<std::string> tensors;
    for (const auto& [suffix, record] : module.tensors) {
      tensors.push_back(fmt::format("{} {} {}", suffix.empty() ? "(no suffix)" : suffix,
                                    formats::dtype_name(record->dtype), shape_text(record->shape)));
    }
    throw Error(ErrorCode::kUnsupported,
                fmt::format("'{}' is stored in a way that is not supported yet: {}", module.name,
                            fmt::join(tensors, ", ")),
                fmt::format("supported: {}", supported_quantisations()));
  }

  void fill(const Module& module, const Dialect& dialect, std::vector<formats::QuantMatrix> matrices) {
    const auto add = [&](const Role& role, const formats::QuantMatrix& matrix) {
      const auto [position, is_new] =
          map_.weights_.try_emplace(role, Weight{module.name, dialect.name(), matrix});
      if (is_new) return;
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("weight {} is stored twice: as '{}' and as '{}'", role_name(role),
                              position->second.module, module.name),
                  "the checkpoint mixes two layouts; download it again");
    };
    const std::optional<Part> part = part_of_one_expert(module.role.part);
    if (!part) {
      add(module.role, matrices.front());
      return;
    }
    for (int32_t expert = 0; expert < config_.expert_count; ++expert) {
      const formats::QuantMatrix& matrix = matrices[static_cast<size_t>(expert)];
      if (module.role.part != Part::kFusedExpertsGateUp) {
        add({*part, module.role.layer, expert}, matrix);
      } else {
        const auto [gate, up] = formats::split_rows(matrix);
        add({Part::kExpertGate, module.role.layer, expert}, gate);
        add({Part::kExpertUp, module.role.layer, expert}, up);
      }
    }
  }

  void note_if_nothing_is_quantised() {
    const auto is_plain = [](const auto& entry) {
      return entry.second.matrix.format <= formats::Format::kF32;
    };
    if (!quantization_.is_present()) return;
    if (!std::all_of(map_.weights_.begin(), map_.weights_.end(), is_plain)) return;
    map_.notes_.push_back({.text = "config.json announces quantisation, but no weight is quantised",
                           .modules = static_cast<int64_t>(map_.weights_.size()),
                           .example = quantization_.method()});
  }

  void check_complete() const {
    std::vector<std::string> missing;
    for (const auto& [role, expected] : expected_) {
      if (expected.presence == Presence::kRequired && map_.find(role) == nullptr) {
        missing.push_back(role_name(role));
      }
    }
    if (missing.empty()) return;
    throw Error(ErrorCode::kInvalidInput, counted("weight", "missing", missing),
                "the checkpoint is incomplete, or config.json describes another model; download it again");
  }

  std::string unexpected_help(const Role& role) const {
    if (role.expert >= config_.expert_count && config_.is_moe()) {
      return fmt::format("config.json has num_experts {}", config_.expert_count);
    }
    if (role.layer >= static_cast<int32_t>(config_.layers.size())) {
      return fmt::format("config.json has num_hidden_layers {}", config_.layers.size());
    }
    if (role.part == Part::kV) return "the layer takes its values from k_proj (attention_k_eq_v)";
    return "config.json and the weights belong to different models; download both again";
  }

  const TensorTable& table_;
  const ModelConfig& config_;
  const QuantizationConfig& quantization_;
  const std::map<Role, ExpectedWeight> expected_;
  bool has_unreadable_scheme_ = false;
  std::map<std::string, Module> modules_;  // by published name
  WeightMap map_;
};

std::string weight_name(const Role& role, const Weight& weight) {
  const bool holds_several = parse_tensor_name(weight.module).role.expert != role.expert;
  return holds_several ? fmt::format("{} ({})", weight.module, role_name(role)) : weight.module;
}

const Weight* WeightMap::find(const Role& role) const {
  const auto position = weights_.find(role);
  return position == weights_.end() ? nullptr : &position->second;
}

const Weight& WeightMap::at(const Role& role) const {
  const Weight* weight = find(role);
  BERYL_CHECK(weight != nullptr);
  return *weight;
}

uint64_t WeightMap::published_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [role, weight] : weights_) bytes += weight.matrix.published_bytes();
  return bytes;
}

WeightMap make_weight_map(const TensorTable& table, const ModelConfig& config,
                          const QuantizationConfig& quantization) {
  return WeightMapBuilder(table, config, quantization).build();
}

}  // namespace beryl::checkpoint
