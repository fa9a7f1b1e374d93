// Finds shared libraries that this program was not linked with: the driver, cuBLASLt, NCCL.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tunesmith::cuda {

// What the search asks the system; tests bring their own.
struct System {
  std::function<std::string(const std::string&)> environment;  // "" when unset
  std::function<bool(const std::string&)> exists;
  std::function<std::vector<std::string>(const std::string&)> list;   // names in a folder, sorted
  std::function<std::string(const std::string&)> resolve;             // without links; "" when absent
  std::function<void*(const std::string&, std::string& error)> open;  // dlopen
};
System realSystem();

struct LibrarySpec {
  std::string title;                // "cuBLASLt"
  std::vector<std::string> names;   // "libcublasLt.so.13", best first
  std::vector<std::string> wheels;  // folders under site-packages/nvidia: "cublas", "cu13"
  std::string override;             // environment variable that names the file
  std::string remedy;
};
LibrarySpec driverSpec();
LibrarySpec cublasLtSpec();
LibrarySpec ncclSpec();

struct FoundLibrary {
  void* handle = nullptr;  // nullptr: not found
  std::string path;
  // Every place that was looked at, with what was there.
  std::vector<std::pair<std::string, std::string>> tried;
  std::string explain(const LibrarySpec& spec) const;
};

// Files that may be the library, in the order they are tried; bare names stand for the system's own search.
std::vector<std::string> candidates(const LibrarySpec& spec, const System& system);
FoundLibrary findLibrary(const LibrarySpec& spec, const System& system);

}  // namespace tunesmith::cuda
