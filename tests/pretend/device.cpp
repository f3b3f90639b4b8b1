// A pretended GPU, for tests on machines without one: memory of the host that says it is `cuda:0`,
// the processor's kernels, the complaint of a real device about a tensor that lies elsewhere, and
// counts. Preloaded where LibTorch's CUDA library is not loaded.
//
// PRETEND_COUNTS=FILE   at the end, a line is added: launches, uploads, values read back
// PRETEND_MEMORY=BYTES  the device holds no more
// PRETEND_LOST=N        the device is lost at launch N
//
// It cannot show streams and races, cuDNN's numbers, or speed.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/ConvUtils.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using at::Tensor;
using c10::IValue;

const c10::Device CARD(c10::kCUDA, 0);
constexpr size_t LINE = 512;  // bytes: alignment, and room for a block's size before it

long number(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atol(text) : otherwise;
}

// ---- what happened ----------------------------------------------------------------------------

struct Counts {
  std::atomic<long> launches{0}, uploads{0}, readbacks{0}, bytes{0};
  ~Counts() {
    const char* path = std::getenv("PRETEND_COUNTS");
    FILE* file = path ? std::fopen(path, "a") : nullptr;
    if (!file) return;
    std::fprintf(file, "%ld %ld %ld\n", launches.load(), uploads.load(), readbacks.load());
    std::fclose(file);
  }
} counts;

void launch() {
  static const long last = number("PRETEND_LOST", -1);
  const long now = ++counts.launches;
  TORCH_CHECK(last < 0 || now < last, "CUDA error: unspecified launch failure");
}

// ---- memory -----------------------------------------------------------------------------------

// Takes `size` bytes of the device, or says that they are not there.
void take(long size) {
  static const long limit = number("PRETEND_MEMORY", -1);
  if ((counts.bytes += size) <= limit || limit < 0) return;
  counts.bytes -= size;
  TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", size, " bytes.");
}

struct Memory final : c10::Allocator {
  static void release(void* block) {
    char* start = static_cast<char*>(block) - LINE;
    counts.bytes -= long(*reinterpret_cast<size_t*>(start));
    std::free(start);
  }

  c10::DataPtr allocate(size_t size) override {
    if (size == 0) return {nullptr, nullptr, &release_nothing, CARD};
    const size_t whole = (size + LINE - 1) / LINE * LINE;
    take(long(whole));
    char* start = static_cast<char*>(std::aligned_alloc(LINE, whole + LINE));
    *reinterpret_cast<size_t*>(start) = whole;
    return {start + LINE, start + LINE, &release, CARD};
  }

  static void release_nothing(void*) {}
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t size) const override {
    default_copy_data(to, from, size);
  }
} memory;

// What a tensor under another name holds on to, and how much of the device's memory that is.
struct Held {
  c10::Storage whole;
  long bytes;
  static void release(void* held) {
    counts.bytes -= static_cast<Held*>(held)->bytes;
    delete static_cast<Held*>(held);
  }
};

// The same bytes as a tensor of `device`; they live as long as either. `fresh`: they are new there.
Tensor seen_as(const Tensor& t, c10::Device device, bool fresh = false) {
  c10::Storage whole = t.storage();
  const long size = fresh ? long(whole.nbytes()) : 0;
  if (fresh) take(size);
  c10::DataPtr bytes(whole.mutable_data(), new Held{whole, size}, &Held::release, device);
  const bool on_card = device == CARD;
  c10::Allocator* allocator = on_card ? &memory : nullptr;
  c10::Storage view(c10::Storage::use_byte_size_t(), whole.nbytes(), std::move(bytes), allocator, on_card);
  const auto key = on_card ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU;
  Tensor made = at::detail::make_tensor<c10::TensorImpl>(std::move(view), c10::DispatchKeySet(key), t.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  return made;
}

// ---- every operation --------------------------------------------------------------------------

// An argument as the processor's kernel takes it. A real device's convolutions read 16 bytes at a time.
Tensor lent(const Tensor& t, const std::string& operation) {
  if (!t.defined()) return t;
  if (t.is_cuda()) {
    const bool aligned = t.numel() == 0 || reinterpret_cast<size_t>(t.data_ptr()) % 16 == 0;
    TORCH_CHECK(aligned || operation.find("conv") == std::string::npos, "CUDA error: misaligned address");
    return seen_as(t, c10::kCPU);
  }
  TORCH_CHECK(t.dim() == 0, operation, ": Expected all tensors to be on the same device, but one of sizes ", t.sizes(),
              " is on ", t.device());
  return t;
}

IValue lent(const IValue& value, const std::string& operation) {
  if (value.isTensor()) return lent(value.toTensor(), operation);
  if (value.isDevice()) return c10::Device(c10::kCPU);
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& t : value.toTensorVector()) list.push_back(lent(t, operation));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> list;
    for (std::optional<Tensor> t : value.toOptionalTensorList()) {
      list.push_back(t ? std::optional<Tensor>(lent(*t, operation)) : t);
    }
    return list;
  }
  return value;
}

// A kernel's result as a tensor of the device; a view of an argument is no new memory.
Tensor returned(const Tensor& result, const std::vector<IValue>& given) {
  const auto is_seen = [&](const IValue& value) {
    return value.isTensor() && value.toTensor().defined() && value.toTensor().storage().data() == result.storage().data();
  };
  return seen_as(result, CARD, std::none_of(given.begin(), given.end(), is_seen));
}

// The argument itself where the operation says that it gives that back.
IValue returned(const IValue& value, const c10::Argument& result, const std::vector<c10::Argument>& arguments,
                const std::vector<IValue>& given) {
  if (value.isTensorList()) {
    c10::List<Tensor> list;
    for (const Tensor& t : value.toTensorVector()) list.push_back(returned(t, given));
    return list;
  }
  if (!value.isTensor() || !value.toTensor().defined()) return value;
  for (size_t i = 0; result.alias_info() && i < arguments.size(); i++) {
    const auto* alias = arguments[i].alias_info();
    if (alias && *alias == *result.alias_info()) return given[i];
  }
  return returned(value.toTensor(), given);
}

void by_processor(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  const auto& schema = operation.schema();
  const std::string name = schema.name();
  const size_t taken = schema.arguments().size();
  const std::vector<IValue> given(stack->end() - long(taken), stack->end());
  for (size_t i = 0; i < taken; i++) (*stack)[stack->size() - taken + i] = lent(given[i], name);
  if (name == "aten::_local_scalar_dense") {
    counts.readbacks++;
  } else {
    launch();
  }
  operation.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  const auto& results = schema.returns();
  for (size_t r = 0; r < results.size(); r++) {
    IValue& value = (*stack)[stack->size() - results.size() + r];
    value = returned(value, results[r], schema.arguments(), given);
  }
}

constexpr c10::DispatchKeySet CARDS(c10::DispatchKey::CUDA);
using Format = std::optional<at::MemoryFormat>;
using Kind = std::optional<at::ScalarType>;
using Layout = std::optional<at::Layout>;
using Place = std::optional<c10::Device>;
using Pinned = std::optional<bool>;

Tensor empty(c10::IntArrayRef size, Kind kind, Layout, Place, Pinned, Format format) {
  return at::detail::empty_generic(size, &memory, CARDS, kind.value_or(at::kFloat), format);
}

Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, Kind kind, Layout, Place, Pinned) {
  return at::detail::empty_strided_generic(size, stride, &memory, CARDS, kind.value_or(at::kFloat));
}

Tensor& copy(Tensor& to, const Tensor& from, bool) {
  if (to.is_cuda() && from.is_cuda()) {
    launch();
  } else {
    (to.is_cuda() ? counts.uploads : counts.readbacks)++;
  }
  Tensor target = to.is_cuda() ? seen_as(to, c10::kCPU) : to;
  target.copy_(from.is_cuda() ? seen_as(from, c10::kCPU) : from);
  return to;
}

// Into a tensor without memory, which a tensor under another name cannot be given.
Tensor& arange(const at::Scalar& start, const at::Scalar& end, const at::Scalar& step, Tensor& out) {
  launch();
  const Tensor made = seen_as(at::arange(start, end, step, at::TensorOptions(out.scalar_type())), CARD, true);
  out.unsafeGetTensorImpl()->set_storage_keep_dtype(made.storage());
  out.unsafeGetTensorImpl()->set_sizes_contiguous(made.sizes());
  return out;
}

// One kernel a channel: the processor has no operation of this name.
using Sizes = c10::IntArrayRef;

Tensor depthwise(const Tensor& x, const Tensor& weight, Sizes, const std::optional<Tensor>& bias, Sizes stride,
                 Sizes padding, Sizes dilation) {
  launch();
  const Tensor shift = bias && bias->defined() ? lent(*bias, "conv") : Tensor();
  return seen_as(at::conv2d(lent(x, "conv"), lent(weight, "conv"), shift, stride, padding, dilation, x.size(1)), CARD,
                 true);
}

std::tuple<Tensor, Tensor> depthwise_backward(const Tensor& gradient, const Tensor& x, const Tensor& weight, Sizes,
                                              Sizes stride, Sizes padding, Sizes dilation, std::array<bool, 2> wanted) {
  launch();
  auto found = at::convolution_backward(lent(gradient, "conv"), lent(x, "conv"), lent(weight, "conv"), std::nullopt,
                                        stride, padding, dilation, false, {0, 0}, x.size(1),
                                        {wanted[0], wanted[1], false});
  const auto given = [](const Tensor& t) { return t.defined() ? seen_as(t, CARD, true) : t; };
  return {given(std::get<0>(found)), given(std::get<1>(found))};
}

// The gradient is asked for past the dispatcher.
const bool registered = (at::native::conv_depthwise2d_backward_stub.set_cuda_dispatch_ptr(&depthwise_backward), true);

TORCH_LIBRARY_IMPL(_, CUDA, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&by_processor>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("copy_", &copy);
  m.impl("arange.start_out", &arange);
  m.impl("_conv_depthwise2d", &depthwise);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
}

// ---- the device itself ------------------------------------------------------------------------

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, CARD); }
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return CARD; }
  c10::Device getDevice() const override { return CARD; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const override { return stream(); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

}  // namespace

namespace at {
// LibTorch finds it by this name.
struct CUDAHooks : CUDAHooksInterface {
  CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  Device getDeviceFromPtr(void*) const override { return CARD; }
  void deviceSynchronize(DeviceIndex) const override {}
  const Generator& getDefaultGenerator(DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at
