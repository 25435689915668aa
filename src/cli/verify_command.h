// beryl verify MODEL: reads everything in a checkpoint and says what is wrong with it.
#pragma once

#include <iosfwd>
#include <string>

namespace CLI {
class App;
}

namespace beryl::cli {

struct VerifyCommandOptions {
  std::string model;    // a directory, a GGUF file or ORG/NAME[@REVISION]
  std::string against;  // another one, to compare with; empty: none
  int threads = 0;      // 0: as many as the process may use
  bool json = false;
};

void add_verify_options(CLI::App& command, VerifyCommandOptions& options);

// Returns the exit code: 1 when an error was found in the checkpoint. Errors: of models that are not there,
// and of an original that cannot be opened.
int run_verify(const VerifyCommandOptions& options, std::ostream& out);

}  // namespace beryl::cli
