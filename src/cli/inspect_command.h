// beryl inspect: what a checkpoint is and what it takes to run it, from headers alone.
#pragma once

#include <iosfwd>

#include "cli/loaded_model.h"

namespace CLI {
class App;
}

namespace beryl::cli {

struct InspectOptions {
  ModelOptions model;
  bool json = false;
  bool no_speed = false;  // leave out what takes a measurement of this machine
};

void add_inspect_options(CLI::App& command, InspectOptions& options);

// Prints a table, or one JSON object:
//   path         what was opened
//   architecture {model_type, size (null when unknown), layers, sliding_layers, full_layers, sliding_window,
//                hidden_size, vocabulary_size, experts, experts_published (null when unknown or none),
//                experts_per_token, positions, head_is_embedding}
//   quantisation config.json's quant_method, null without
//   parameters   {total, active_per_token}, without towers
//   classes      [{class, loaded, dialect (null for towers), format, scales, weights, parameters, bytes,
//                bits_per_weight}]
//   skipped      [{reason, tensors, bytes}]        notes    [{text, modules, example}]
//   files        {count, bytes, tensors, tensor_bytes, ignored: [names]}
//   memory       {weights_bytes, working_bytes, available_bytes, total_bytes, fits, context_that_fits}
//   cache        {type, sliding_bytes_per_token, full_bytes_per_token, contexts: [{tokens, bytes, fits}]}
//   speed        null with --no-speed or where it cannot be measured, else {threads,
//                read_bytes_per_second, context_tokens, weight_bytes_per_token, cache_bytes_per_token,
//                tokens_per_second}
// Sizes are integers, in bytes. Errors: as Checkpoint::open(), and what loading would refuse of the headers.
int run_inspect(const InspectOptions& options, std::ostream& out);

}  // namespace beryl::cli
