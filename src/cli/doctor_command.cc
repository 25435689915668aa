#include "cli/doctor_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "base/machine.h"
#include "checkpoint/model_path.h"
#include "cli/text_format.h"

namespace beryl::cli {

void add_doctor_options(CLI::App& command, DoctorOptions& options) {
  command.add_flag("--json", options.json, "Print one JSON object");
}

int run_doctor(const DoctorOptions& options, std::ostream& out) {
  const MachineMemory memory = read_memory();
  std::vector<std::string> present;
  std::vector<std::string> absent;
  for (const ProcessorFeature& feature : processor_features()) {
    (feature.is_present ? present : absent).emplace_back(feature.name);
  }
  const auto hub = checkpoint::find_hub_cache(checkpoint::read_cache_environment());
  const std::string hub_text = hub ? hub->string() : std::string("none (HOME is not set)");
  if (options.json) {
    const nlohmann::json json = {{"processor", processor_name()},
                                 {"features", present},
                                 {"missing_features", absent},
                                 {"kernels", backend::cpu_kernel_name()},
                                 {"threads_of_machine", std::thread::hardware_concurrency()},
                                 {"threads_usable", usable_processor_count()},
                                 {"memory_total_bytes", memory.total_bytes},
                                 {"memory_available_bytes", memory.available_bytes},
                                 {"page_bytes", page_bytes()},
                                 {"huge_pages", huge_page_mode()},
                                 {"model_cache", hub_text}};
    out << json.dump(2) << '\n';
    return 0;
  }
  fmt::print(out, "processor    {}\n", processor_name());
  fmt::print(out, "features     {}\n", fmt::join(present, " "));
  if (!absent.empty()) fmt::print(out, "missing      {}\n", fmt::join(absent, " "));
  fmt::print(out, "kernels      {}\n", backend::cpu_kernel_name());
  fmt::print(out, "threads      {} usable of {}\n", usable_processor_count(),
             std::thread::hardware_concurrency());
  fmt::print(out, "memory       {} available of {}\n", format_bytes(memory.available_bytes),
             format_bytes(memory.total_bytes));
  fmt::print(out, "pages        {} bytes; 2 MiB pages: {}\n", page_bytes(),
             huge_page_mode().empty() ? "unknown" : huge_page_mode());
  if (huge_page_mode() == "never") {
    fmt::print(out,
               "             weights are read more slowly without 2 MiB pages; allow them with\n"
               "             echo madvise > /sys/kernel/mm/transparent_hugepage/enabled\n");
  }
  fmt::print(out, "model cache  {}\n", hub_text);
  return 0;
}

}  // namespace beryl::cli
