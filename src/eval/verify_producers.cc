#include "eval/verify_producers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/dialects/module_reading.h"
#include "checkpoint/dialects/stored_scheme.h"
#include "eval/verify_work.h"
#include "formats/decoder.h"
#include "formats/plain.h"

namespace beryl::eval {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Part;
using checkpoint::Role;
using checkpoint::Weight;

constexpr std::string_view kExpertsForgotten =
    "known fault: the quantiser's pattern missed the experts, which are one parameter of three dimensions "
    "and no "
    "linear layers (ModelOpt before its PR 1219, llm-compressor's model_free_ptq before 0.13, bitsandbytes); "
    "a "
    "26B file then has 46 GB";
constexpr std::string_view kSweptIn =
    "known fault: a recipe without \"ignore\" names the class Linear and sweeps in the router and the vision "
    "projector (llm-compressor issue 2714); vLLM refuses such files";

bool is_plain(const Weight& weight) {
  return weight.matrix.format <= formats::Format::kF32;
}

bool is_expert(Part part) {
  return part == Part::kExpertGate || part == Part::kExpertUp || part == Part::kExpertDown;
}

std::string gigabytes(uint64_t bytes) {
  return bytes >= 100'000'000 ? fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9)
                              : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

class ProducerCheck {
 public:
  explicit ProducerCheck(const Checkpoint& checkpoint) : weights_(checkpoint.weights()) {}

  std::vector<Finding> run() {
    for (const checkpoint::Note& note : weights_.notes()) add_note(note);
    check_unquantised_experts();
    check_mixed_experts();
    check_global_scales();
    check_towers();
    return std::move(findings_);
  }

 private:
  void add(Severity severity, std::string_view kind, std::string module, std::string found,
           std::string expected, std::string_view meaning) {
    findings_.push_back(
        {severity, kind, std::move(module), std::move(found), std::move(expected), std::string(meaning)});
  }

  void add_note(const checkpoint::Note& note) {
    const std::string found =
        fmt::format("{} {}: {}", note.modules, note.modules == 1 ? "module" : "modules", note.text);
    if (note.text == checkpoint::kNoActivationScale) {
      add(Severity::kWarning, "no-activation-scale", note.example, found, "a scale for each module",
          "known fault: experts that saw no token in calibration have no input_scale (bg-digitalservices' "
          "NVFP4 "
          "files); nothing is lost here, but engines that quantise activations read uninitialised memory and "
          "answer with padding or garbage");
    } else if (note.text == checkpoint::kRouterIsQuantised) {
      add(Severity::kWarning, "router-quantised", note.example, found, "a router in bf16",
          "a habit of MLX and some AutoRound recipes; else a " + std::string(kSweptIn));
    } else if (note.text == checkpoint::kTensorsDecide) {
      add(Severity::kWarning, "config-contradicted", note.example, found, "a configuration that agrees",
          "the list of skipped modules was patched by hand, or does not match the names that the tool uses");
    } else if (note.text.find("scales are ignored") != std::string_view::npos) {
      add(Severity::kWarning, "stray-scales", note.example, found, "no scales, or a quantised weight",
          "known fault: the fine-grained FP8 quantiser of transformers leaves a tensor that its block does "
          "not "
          "divide in bf16, beside scales that were never filled; engines that multiply by them compute "
          "garbage");
    } else if (note.text.find("no weight is quantised") != std::string_view::npos) {
      add(Severity::kWarning, "nothing-quantised", note.example, found, "quantised weights",
          kExpertsForgotten);
    } else {
      add(Severity::kNote, "loader-note", note.example, found, "", "");
    }
  }

  // A file whose other weights are quantised, but not its experts.
  void check_unquantised_experts() {
    std::map<Part, std::pair<int64_t, const Weight*>> plain;
    std::map<Part, int64_t> all;
    uint64_t plain_bytes = 0;
    bool is_quantised = false;
    for (const auto& [role, weight] : weights_.weights()) {
      is_quantised |= !is_plain(weight) && role.part != Part::kRouterProjection;
      if (!is_expert(role.part)) continue;
      ++all[role.part];
      if (!is_plain(weight)) continue;
      plain_bytes += weight.matrix.published_bytes();
      auto& [count, example] = plain[role.part];
      if (count++ == 0) example = &weight;
    }
    if (!is_quantised || plain.empty()) return;
    std::vector<std::string> parts;
    for (const auto& [part, entry] : plain) {
      const std::string name = checkpoint::role_name({part, 0, 0});
      parts.push_back(fmt::format("{} of {} {}", entry.first, all[part], name.substr(name.rfind('.') + 1)));
    }
    add(Severity::kWarning, "experts-unquantised", plain.begin()->second.second->module,
        fmt::format("experts left unquantised: {}; {} of {}", fmt::join(parts, ", "), gigabytes(plain_bytes),
                    gigabytes(weights_.published_bytes())),
        "quantised experts, which hold most of the parameters", kExpertsForgotten);
  }

  // Layers where some experts of one projection are quantised in another way than others.
  void check_mixed_experts() {
    std::map<std::pair<Part, int32_t>, std::map<formats::Format, std::pair<int64_t, const Weight*>>> layers;
    for (const auto& [role, weight] : weights_.weights()) {
      if (!is_expert(role.part)) continue;
      auto& [count, example] = layers[{role.part, role.layer}][weight.matrix.format];
      if (count++ == 0) example = &weight;
    }
    for (const auto& [key, formats] : layers) {
      if (formats.size() < 2) continue;
      const auto rarest = std::min_element(formats.begin(), formats.end(), [](const auto& a, const auto& b) {
        return a.second.first < b.second.first;
      });
      std::vector<std::string> parts;
      for (const auto& [format, entry] : formats) {
        parts.push_back(fmt::format("{} {}", entry.first, formats::format_name(format)));
      }
      add(Severity::kWarning, "experts-mixed", rarest->second.second->module,
          fmt::format("layer {} has experts of several formats: {}", key.second, fmt::join(parts, ", ")),
          "experts of one format in a layer",
          "a pattern of the quantiser's configuration missed some of them; engines with fused experts refuse "
          "or "
          "misread such layers");
    }
  }

  // Gate and up of one feed-forward network.
  void check_global_scales() {
    int64_t different = 0;
    int64_t pairs = 0;
    std::string first;
    for (const auto& [role, gate] : weights_.weights()) {
      if (role.part != Part::kExpertGate && role.part != Part::kGate) continue;
      const Part up_part = role.part == Part::kGate ? Part::kUp : Part::kExpertUp;
      const Weight* up = weights_.find({up_part, role.layer, role.expert});
      if (up == nullptr || !gate.matrix.global_scale || !up->matrix.global_scale) continue;
      ++pairs;
      const float a = formats::read_floats(*gate.matrix.global_scale).at(0);
      const float b = formats::read_floats(*up->matrix.global_scale).at(0);
      if (a == b || different++ > 0) continue;
      first = fmt::format("{} has {:.6g}, its up projection {:.6g}", weight_label(role, gate), a, b);
      module_ = weight_label(role, gate);
    }
    if (different == 0) return;
    add(Severity::kNote, "separate-global-scales", module_,
        fmt::format("{} of {} pairs of gate and up have global scales of their own; {}", different, pairs,
                    first),
        "",
        "legal, and used as stored; a habit of llm-compressor's model_free_ptq and of early ModelOpt "
        "plug-ins. "
        "Engines that keep one global scale for both (vLLM's fused experts) scale one of them wrongly");
  }

  // Of the towers only names are known here.
  void check_towers() {
    constexpr std::array<std::string_view, 4> kMarks = {"weight_scale", "weight_packed", "qweight",
                                                        "weight_scale_inv"};
    for (const checkpoint::SkippedTensor& tensor : weights_.skipped()) {
      const std::string_view name = tensor.name;
      const bool is_projector = name.find("embed_vision") != std::string_view::npos ||
                                name.find("embed_audio") != std::string_view::npos;
      const auto ends = [&](std::string_view mark) { return name.ends_with(mark); };
      if (!is_projector || std::none_of(kMarks.begin(), kMarks.end(), ends)) continue;
      add(Severity::kWarning, "projector-quantised", tensor.name, "the projector of a tower is quantised",
          "a projector in bf16", kSweptIn);
      return;
    }
  }

  const checkpoint::WeightMap& weights_;
  std::string module_;
  std::vector<Finding> findings_;
};

// Words of a message that a known fault leads to.
struct KnownFault {
  std::string_view words;
  std::string_view kind;
  std::string_view meaning;
};

constexpr std::array<KnownFault, 5> kKnownFaults = {{
    {".weight.weight", "doubled-suffix",
     "known fault: llm-compressor's model_free_ptq wrote names that end in .weight.weight (issue 2464, April "
     "2026)"},
    {".moe.moe.", "doubled-prefix",
     "known fault: names were rewritten twice, to .moe.moe. (as in vLLM issue 41206)"},
    {"switch_mlp", "renamed-experts",
     "known fault: a converter writes switch_mlp in place of experts.switch_glu (paroquant issue 53)"},
    {"wrong way round", "inverted-scale", "known fault: a converter that did not invert its global scales"},
    {"truncated", "truncated", "a download that ended early: get the file again"},
}};

// Bytes of expert tensors that are not quantised, and of all tensors.
std::string describe_experts(const std::filesystem::path& path) {
  uint64_t all = 0;
  uint64_t plain = 0;
  try {
    const checkpoint::ShardSet shards(path);
    for (const checkpoint::TensorRecord& record : shards.tensors().records()) {
      all += record.range.bytes;
      const bool is_expert_tensor = record.name.find(".experts.") != std::string::npos;
      if (is_expert_tensor && formats::is_plain(record.dtype) && record.shape.size() > 1) {
        plain += record.range.bytes;
      }
    }
  } catch (const Error&) {
    return {};
  }
  return fmt::format("{} of the file's {} are unquantised experts", gigabytes(plain), gigabytes(all));
}

}  // namespace

std::vector<Finding> check_producer(const Checkpoint& checkpoint) {
  return ProducerCheck(checkpoint).run();
}

Finding explain_refusal(const std::filesystem::path& path, const Error& error) {
  Finding finding{.severity = Severity::kError,
                  .kind = "refused",
                  .module = path.filename().empty() ? path.string() : path.filename().string(),
                  .found = error.message(),
                  .expected = "a checkpoint that can be loaded",
                  .meaning = error.help()};
  const auto says = [&](std::string_view words) { return finding.found.find(words) != std::string::npos; };
  const auto add_meaning = [&](std::string_view text) {
    if (!finding.meaning.empty()) finding.meaning += "; ";
    finding.meaning += text;
  };
  if (says("says that it is quantised") && says(".experts.")) {
    finding.kind = "experts-unquantised";
    if (const std::string bytes = describe_experts(path); !bytes.empty()) add_meaning(bytes);
    add_meaning(kExpertsForgotten);
    return finding;
  }
  for (const KnownFault& fault : kKnownFaults) {
    if (!says(fault.words)) continue;
    finding.kind = fault.kind;
    add_meaning(fault.meaning);
    break;
  }
  return finding;
}

}  // namespace beryl::eval
