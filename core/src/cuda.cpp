// What tch leaves out of CUDA. Of LibTorch only headers that need none of CUDA's own are used; the
// driver's and NVML's functions are looked up by name, so that nothing is missing where there is
// no GPU.

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>

namespace {

template <class Function>
Function* find(const char* library, const char* name) {
  void* handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
  return handle ? reinterpret_cast<Function*>(dlsym(handle, name)) : nullptr;
}

constexpr const char* DRIVER = "libcuda.so.1";
constexpr const char* NVML = "libnvidia-ml.so.1";
constexpr int MAJOR = 75, MINOR = 76;  // attributes of a device

// The driver's number of CUDA device `index`; none without a driver.
bool device(int index, int* found) {
  auto* init = find<int(unsigned)>(DRIVER, "cuInit");
  auto* get = find<int(int*, int)>(DRIVER, "cuDeviceGet");
  return init && get && init(0) == 0 && get(found, index) == 0;
}

}  // namespace

extern "C" {

// How convolutions compute from now on. Both the old and the new switch of TF32 follow.
void repro_cuda_numerics(bool tf32, bool deterministic, bool benchmark) {
  auto& context = at::globalContext();
  const auto precision = tf32 ? at::Float32Precision::TF32 : at::Float32Precision::IEEE;
  context.setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::CONV, precision);
  context.setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::RNN, precision);
  context.setDeterministicCuDNN(deterministic);
  context.setBenchmarkCuDNN(benchmark && !deterministic);
}

// Name, capability (major, minor) and the driver's CUDA version of device `index`; takes no
// memory of it.
bool repro_cuda_device(int index, char* name, int room, int* numbers) {
  int found;
  auto* name_of = find<int(char*, int, int)>(DRIVER, "cuDeviceGetName");
  auto* attribute = find<int(int*, int, int)>(DRIVER, "cuDeviceGetAttribute");
  auto* version = find<int(int*)>(DRIVER, "cuDriverGetVersion");
  return name_of && attribute && version && device(index, &found) &&
         name_of(name, room, found) == 0 && attribute(&numbers[0], MAJOR, found) == 0 &&
         attribute(&numbers[1], MINOR, found) == 0 && version(&numbers[2]) == 0;
}

// Bytes of device `index` that are in use by nobody, 0 where that is not known; takes no memory
// of it.
uint64_t repro_cuda_free(int index) {
  struct {
    unsigned long long total, free, used;
  } memory{};
  int found;
  char bus[32];
  void* handle = nullptr;
  auto* bus_of = find<int(char*, int, int)>(DRIVER, "cuDeviceGetPCIBusId");
  auto* init = find<int()>(NVML, "nvmlInit_v2");
  auto* handle_of = find<int(const char*, void**)>(NVML, "nvmlDeviceGetHandleByPciBusId_v2");
  auto* memory_of = find<int(void*, void*)>(NVML, "nvmlDeviceGetMemoryInfo");
  const bool known = bus_of && init && handle_of && memory_of && device(index, &found) &&
                     bus_of(bus, sizeof bus, found) == 0 && init() == 0 &&
                     handle_of(bus, &handle) == 0 && memory_of(handle, &memory) == 0;
  return known ? memory.free : 0;
}
}
