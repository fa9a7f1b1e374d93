// Everything that goes wrong on the host side: what, the code TunesmithError has for it, and what to do.
#pragma once
#include <stdexcept>
#include <string>

namespace tunesmith::cuda {

struct Failure : std::runtime_error {
  Failure(std::string code_, const std::string& message, std::string remedy_ = "")
      : std::runtime_error(message), code(std::move(code_)), remedy(std::move(remedy_)) {}
  std::string code, remedy;
};

}  // namespace tunesmith::cuda
