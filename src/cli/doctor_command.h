// beryl doctor: what this machine is, for people who ask why something is slow or does not fit.
#pragma once

#include <iosfwd>

namespace CLI {
class App;
}

namespace beryl::cli {

struct DoctorOptions {
  bool json = false;
};

void add_doctor_options(CLI::App& command, DoctorOptions& options);
int run_doctor(const DoctorOptions& options, std::ostream& out);

}  // namespace beryl::cli
