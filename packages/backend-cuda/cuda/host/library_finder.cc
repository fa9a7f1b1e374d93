#include "library_finder.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace tunesmith::cuda {
namespace {

namespace fs = std::filesystem;

// The parts that are not empty.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream rest(text);
  for (std::string part; std::getline(rest, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}
bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string parentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "" : path.substr(0, slash);
}

#if defined(__aarch64__)
constexpr const char* kToolkitTarget = "/targets/sbsa-linux/lib";
constexpr const char* kMultiarch = "/usr/lib/aarch64-linux-gnu";
#else
constexpr const char* kToolkitTarget = "/targets/x86_64-linux/lib";
constexpr const char* kMultiarch = "/usr/lib/x86_64-linux-gnu";
#endif

bool startsWith(const std::string& text, const std::string& start) { return text.compare(0, start.size(), start) == 0; }

// Folders that hold Python packages, of the environments a user is likely to have put them in.
std::vector<std::string> sitePackages(const System& system) {
  std::vector<std::string> prefixes;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string prefix = system.environment(name); !prefix.empty()) prefixes.push_back(prefix);
  for (const std::string& folder : split(system.environment("PATH"), ':'))
    for (const char* python : {"/python3", "/python"}) {
      if (!system.exists(folder + python)) continue;
      prefixes.push_back(parentOf(folder));
      // A virtual environment's python links to the one it was made from.
      prefixes.push_back(parentOf(parentOf(system.resolve(folder + python))));
    }
  if (const std::string home = system.environment("HOME"); !home.empty()) prefixes.push_back(home + "/.local");
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr"});
  std::vector<std::string> folders;
  for (const std::string& prefix : prefixes)
    for (const char* lib : {"/lib", "/lib64"})
      for (const std::string& name : system.list(prefix + lib))
        if (startsWith(name, "python3"))
          for (const char* packages : {"/site-packages", "/dist-packages"})
            if (const std::string folder = prefix + lib + "/" + name + packages; system.exists(folder))
              folders.push_back(folder);
  return folders;
}

}  // namespace

LibrarySpec driverSpec() {
  return {"the NVIDIA driver", {"libcuda.so.1"}, {}, "",
      "Install an NVIDIA driver; in a container, start it with the GPU (docker run --gpus all)"};
}
LibrarySpec cublasLtSpec() {
  return {"cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"}, {"cu13", "cublas"}, "TUNESMITH_CUBLASLT",
      "Install the CUDA toolkit's cuBLAS, or `pip install nvidia-cublas` (CUDA 13) or nvidia-cublas-cu12, or name the "
      "file in TUNESMITH_CUBLASLT"};
}
LibrarySpec ncclSpec() {
  return {"NCCL", {"libnccl.so.2"}, {"nccl", "cu13"}, "TUNESMITH_NCCL",
      "Install NCCL, or `pip install nvidia-nccl-cu13` or nvidia-nccl-cu12, or name the file in TUNESMITH_NCCL"};
}

std::vector<std::string> candidates(const LibrarySpec& spec, const System& system) {
  std::vector<std::string> files;
  const auto addFolder = [&](const std::string& folder) {
    for (const std::string& name : spec.names) files.push_back(folder + "/" + name);
  };
  if (!spec.override.empty())
    if (const std::string named = system.environment(spec.override.c_str()); !named.empty()) return {named};
  for (const std::string& folder : split(system.environment("LD_LIBRARY_PATH"), ':')) addFolder(folder);
  files.insert(files.end(), spec.names.begin(), spec.names.end());
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string home = system.environment(name); !home.empty()) addFolder(home + "/lib64");
  std::vector<std::string> toolkits;
  for (const std::string& name : system.list("/usr/local"))
    if (startsWith(name, "cuda")) toolkits.push_back("/usr/local/" + name);
  std::reverse(toolkits.begin(), toolkits.end());
  for (const std::string& toolkit : toolkits) {
    addFolder(toolkit + "/lib64");
    addFolder(toolkit + kToolkitTarget);
  }
  for (const char* folder :
      {kMultiarch, "/usr/lib64", "/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib"})
    addFolder(folder);
  if (const std::string conda = system.environment("CONDA_PREFIX"); !conda.empty()) addFolder(conda + "/lib");
  for (const std::string& packages : sitePackages(system))
    for (const std::string& wheel : spec.wheels) addFolder(packages + "/nvidia/" + wheel + "/lib");
  std::vector<std::string> distinct;
  for (const std::string& file : files)
    if (!contains(distinct, file)) distinct.push_back(file);
  return distinct;
}

FoundLibrary findLibrary(const LibrarySpec& spec, const System& system) {
  FoundLibrary found;
  for (const std::string& file : candidates(spec, system)) {
    const bool bare = file.find('/') == std::string::npos;
    if (!bare && !system.exists(file)) {
      found.tried.emplace_back(file, "not there");
      continue;
    }
    std::string error;
    if ((found.handle = system.open(file, error))) {
      found.path = file;
      return found;
    }
    found.tried.emplace_back(file, bare ? "not on the system's library path" : error);
  }
  return found;
}

std::string FoundLibrary::explain(const LibrarySpec& spec) const {
  if (handle) return spec.title + ": " + path;
  std::string text = spec.title + " was not found. Looked for ";
  for (size_t i = 0; i < spec.names.size(); i++) text += (i ? " or " : "") + spec.names[i];
  // Folders once each, files that exist but do not load with their reason.
  std::vector<std::string> folders, broken;
  for (const auto& [file, reason] : tried) {
    const std::string folder = file.find('/') == std::string::npos ? "the system's library path" : parentOf(file);
    if (!contains(folders, folder)) folders.push_back(folder);
    if (reason != "not there" && file.find('/') != std::string::npos) broken.push_back(file + ": " + reason);
  }
  text += " in";
  for (size_t i = 0; i < folders.size(); i++) text += (i ? ", " : " ") + folders[i];
  for (const std::string& b : broken) text += "; " + b;
  return text;
}

System realSystem() {
  System s;
  s.environment = [](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value ? value : "");
  };
  s.exists = [](const std::string& path) {
    std::error_code failed;
    return fs::exists(path, failed);
  };
  s.list = [](const std::string& folder) {
    std::vector<std::string> names;
    std::error_code failed;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  };
  s.resolve = [](const std::string& path) {
    std::error_code failed;
    return fs::canonical(path, failed).string();
  };
  s.open = [](const std::string& path, std::string& error) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) error = dlerror();
    return handle;
  };
  return s;
}

}  // namespace tunesmith::cuda
