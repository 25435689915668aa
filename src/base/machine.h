// What this machine offers the process: processors it may use, memory, page sizes, instruction sets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace beryl {

struct MachineMemory {
  uint64_t total_bytes = 0;
  // What can be had without swapping, within the control group's limit if there is one.
  uint64_t available_bytes = 0;
};

MachineMemory read_memory();

// Processors that the process may run on: its affinity, within the control group's quota, at least 1.
int usable_processor_count();

// The numbers of those in the process's affinity, ascending; empty when the system does not tell.
std::vector<int> usable_processors();

struct ProcessorFeature {
  const char* name;
  bool is_present;
};

// "AMD EPYC 9B45" or the like; empty when unknown.
std::string processor_name();
// The vector instruction sets that matter here. Empty on processors that are not x86-64.
std::vector<ProcessorFeature> processor_features();

uint64_t page_bytes();
// Whether anonymous memory can get 2 MiB pages: "always", "madvise" or "never"; empty when unknown.
std::string huge_page_mode();

}  // namespace beryl
