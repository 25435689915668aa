// All commands of the program: their arguments, and which one was asked for.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>

namespace CLI {
class App;
}

namespace beryl::cli {

class CommandLine {
 public:
  // Adds the subcommands to `app`, which is borrowed and must be parsed before run().
  explicit CommandLine(CLI::App& app);
  ~CommandLine();

  // Runs the command that was parsed and returns the exit code. Errors: those of the command.
  int run(std::istream& in, std::ostream& out) const;

 private:
  struct Options;

  void add_run();
  void add_serve();
  void add_ps();
  void add_inspect();
  void add_verify();
  void add_check();
  void add_eval();
  void add_compare();
  void add_bench();
  void add_tokenize();
  void add_doctor();
  void add_version();

  CLI::App& app_;
  std::unique_ptr<Options> options_;
  std::function<int(std::istream&, std::ostream&)> command_;  // set by parsing
};

}  // namespace beryl::cli
