// beryl serve: a model behind an HTTP interface, until a signal ends it.
#pragma once

#include <iosfwd>

#include "cli/serve_options.h"

namespace beryl::cli {

// Returns the exit code: 0 after SIGTERM or SIGINT, 130 after a second one of them. Errors: those of loading
// and of listening.
int run_serve(CLI::App& command, ServeOptions& options, std::ostream& out);

}  // namespace beryl::cli
