// Batch normalisation, with the ReLU behind it, on CPU with channels last.
//
// LibTorch's convolutions are fastest with channels last, its batch normalisation is slowest there:
// its inner loop runs over channels, and early layers have as few as 6. Here as many pixels are
// taken together as fill whole vectors (a tile), and each pass over the map is one loop over tiles.
//
// Sums are made per chunk and added up in the order of chunks, so that they do not depend on the
// number of threads.

#include <ATen/ATen.h>
#include <ATen/TensorIterator.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define EACH_PROCESSOR
#endif
#define INLINE inline __attribute__((always_inline))

namespace {

constexpr int64_t LANES = 16;
constexpr int64_t CHUNKS = 32;

using Brain = uint16_t;  // the bits of a bfloat16

INLINE float widen(float x) { return x; }
INLINE float widen(Brain x) {
  const uint32_t bits = uint32_t(x) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

INLINE void narrow(float x, float* to) { *to = x; }
// To the nearest, ties to even; not a number stays one.
INLINE void narrow(float x, Brain* to) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  *to = Brain(x != x ? 0x7fc0u : rounded);
}

// A map as rows, one a pixel, of `channels` elements each; `tile` of them are a whole number of
// vectors.
struct Pixels {
  int64_t pixels, channels, tile;
  int64_t lanes() const { return tile * channels; }
  int64_t tiles() const { return (pixels + tile - 1) / tile; }
};

// The tile at row `row` without gaps: where it lies, or copied into `buffer`.
template <class T>
INLINE const T* gather(const T* map, int64_t stride, int64_t row, int64_t rows, int64_t channels, T* buffer) {
  map += row * stride;
  if (stride == channels) return map;
  for (int64_t r = 0; r < rows; r++) std::memcpy(buffer + r * channels, map + r * stride, channels * sizeof(T));
  return buffer;
}

// Rows [first, last) of a map, a tile at a time.
struct Range {
  int64_t first, last, channels, tile;
};

template <class T>
INLINE void add_moment(const T* x, int64_t stride, Range range, const float* centre, bool squared, float* sum, T* buffer) {
  for (int64_t row = range.first; row < range.last; row += range.tile) {
    const int64_t rows = std::min(range.tile, range.last - row), n = rows * range.channels;
    const T* p = gather(x, stride, row, rows, range.channels, buffer);
    if (squared) {
      for (int64_t i = 0; i < n; i++) {
        const float d = widen(p[i]) - centre[i];
        sum[i] += d * d;
      }
    } else {
      for (int64_t i = 0; i < n; i++) sum[i] += widen(p[i]);
    }
  }
}

template <class T>
INLINE void apply(const T* x, int64_t stride, Range range, const float* scale, const float* shift, bool relu, T* y, T* buffer) {
  const float least = relu ? 0.0f : -INFINITY;
  for (int64_t row = range.first; row < range.last; row += range.tile) {
    const int64_t rows = std::min(range.tile, range.last - row), n = rows * range.channels;
    const T* p = gather(x, stride, row, rows, range.channels, buffer);
    T* __restrict__ out = y + row * range.channels;
    for (int64_t i = 0; i < n; i++) {
      const float z = scale[i] * widen(p[i]) + shift[i];
      narrow(z < least ? least : z, out + i);  // not a number stays one
    }
  }
}

// What the loops of the backward pass read: the map, its gradient, and a number a lane of each.
template <class T>
struct Back {
  const T *x, *g;
  int64_t x_stride, g_stride;
  const float *scale, *shift, *mean;
  bool relu;
};

template <class T>
INLINE void add_gradients(const Back<T>& b, Range range, float* __restrict__ plain, float* __restrict__ weighted,
                          T* buffer) {
  const float least = b.relu ? 0.0f : -INFINITY;
  const float *scale = b.scale, *shift = b.shift, *mean = b.mean;
  for (int64_t row = range.first; row < range.last; row += range.tile) {
    const int64_t rows = std::min(range.tile, range.last - row), n = rows * range.channels;
    const T* x = gather(b.x, b.x_stride, row, rows, range.channels, buffer);
    const T* g = gather(b.g, b.g_stride, row, rows, range.channels, buffer + n);
    for (int64_t i = 0; i < n; i++) {
      // Both are read whatever the ReLU did: a load behind a condition keeps a loop from vectors.
      const float in = widen(x[i]), all = widen(g[i]);
      const float gradient = scale[i] * in + shift[i] <= least ? 0.0f : all;
      plain[i] += gradient;
      weighted[i] += gradient * (in - mean[i]);
    }
  }
}

template <class T>
INLINE void apply_gradient(const Back<T>& b, Range range, const float* plain, const float* weighted, T* dx, T* buffer) {
  const float least = b.relu ? 0.0f : -INFINITY;
  const float *scale = b.scale, *shift = b.shift, *mean = b.mean;
  for (int64_t row = range.first; row < range.last; row += range.tile) {
    const int64_t rows = std::min(range.tile, range.last - row), n = rows * range.channels;
    const T* x = gather(b.x, b.x_stride, row, rows, range.channels, buffer);
    const T* g = gather(b.g, b.g_stride, row, rows, range.channels, buffer + n);
    T* __restrict__ out = dx + row * range.channels;
    for (int64_t i = 0; i < n; i++) {
      const float in = widen(x[i]), all = widen(g[i]);
      const float gradient = scale[i] * in + shift[i] <= least ? 0.0f : all;
      narrow(scale[i] * (gradient - plain[i] - (in - mean[i]) * weighted[i]), out + i);
    }
  }
}

// Templates cannot be cloned for each processor; these can.
#define INSTANTIATE(T)                                                                                             \
  EACH_PROCESSOR void moment_of(const T* x, int64_t stride, Range range, const float* centre, bool squared,        \
                                float* sum, T* buffer) {                                                           \
    add_moment(x, stride, range, centre, squared, sum, buffer);                                                    \
  }                                                                                                                \
  EACH_PROCESSOR void apply_to(const T* x, int64_t stride, Range range, const float* scale, const float* shift,    \
                               bool relu, T* y, T* buffer) {                                                       \
    apply(x, stride, range, scale, shift, relu, y, buffer);                                                        \
  }                                                                                                                \
  EACH_PROCESSOR void gradients_of(const Back<T>& b, Range range, float* plain, float* weighted, T* buffer) {      \
    add_gradients(b, range, plain, weighted, buffer);                                                              \
  }                                                                                                                \
  EACH_PROCESSOR void gradient_to(const Back<T>& b, Range range, const float* plain, const float* weighted, T* dx, \
                                  T* buffer) {                                                                     \
    apply_gradient(b, range, plain, weighted, dx, buffer);                                                         \
  }
INSTANTIATE(float)
INSTANTIATE(Brain)

// Elements between the pixels of a map with channels last, whole or a slice of one; 0 where its
// pixels do not lie evenly.
int64_t pixel_stride(const at::Tensor& t) {
  if (t.size(1) > 1 && t.stride(1) != 1) return 0;
  const int64_t sizes[] = {t.size(3), t.size(2), t.size(0)}, strides[] = {t.stride(3), t.stride(2), t.stride(0)};
  int64_t stride = -1, pixels = 1;  // a stride of an expanded tensor may be 0
  for (int i = 0; i < 3; i++) {
    if (sizes[i] > 1) {
      if (stride < 0) stride = strides[i];
      if (strides[i] != stride * pixels) return 0;
    }
    pixels *= sizes[i];
  }
  if (stride < 0) return t.size(1);  // one pixel
  return stride >= t.size(1) ? stride : 0;
}

at::Tensor evenly(const at::Tensor& t, int64_t* stride) {
  *stride = pixel_stride(t);
  if (*stride != 0) return t;
  const at::Tensor dense = t.contiguous(at::MemoryFormat::ChannelsLast);
  *stride = dense.size(1);
  return dense;
}

Pixels pixels_of(const at::Tensor& t) {
  const int64_t channels = t.size(1), least = LANES / std::gcd(LANES, channels);
  // Short tiles are joined, so that the loop over a tile is worth its start.
  const int64_t wanted = std::max<int64_t>(1, 4 * LANES / (least * channels));
  return {t.size(0) * t.size(2) * t.size(3), channels, least * wanted};
}

// Calls `work(chunk, rows of it)` for each chunk, on LibTorch's threads. A tensor iterator over the
// chunks' numbers brings them along without a second OpenMP runtime.
template <class Work>
void each_chunk(const Pixels& p, const Work& work) {
  const int64_t tiles = (p.tiles() + CHUNKS - 1) / CHUNKS, rows = tiles * p.tile;
  const int64_t chunks = (p.pixels + rows - 1) / rows;
  at::Tensor each = at::arange(chunks, at::kLong);
  auto iterator = at::TensorIteratorConfig().add_input(each).build();
  iterator.for_each(
      [&](char** data, const int64_t* strides, int64_t n) {
        for (int64_t i = 0; i < n; i++) {
          const int64_t chunk = *reinterpret_cast<int64_t*>(data[0] + i * strides[0]);
          work(chunk, Range{chunk * rows, std::min(p.pixels, (chunk + 1) * rows), p.channels, p.tile});
        }
      },
      1);
}

// One number a channel, for every lane of a tile.
std::vector<float> spread(const Pixels& p, const std::vector<double>& channel) {
  std::vector<float> lanes(p.lanes());
  for (int64_t i = 0; i < p.lanes(); i++) lanes[i] = float(channel[i % p.channels]);
  return lanes;
}

// Sums of lanes, chunk by chunk, as one sum a channel.
std::vector<double> fold(const Pixels& p, const std::vector<float>& sums) {
  std::vector<double> channel(p.channels, 0.0);
  for (size_t i = 0; i < sums.size(); i++) channel[i % p.channels] += sums[i];
  return channel;
}

std::vector<double> doubles(const at::Tensor& t) {
  const float* data = t.const_data_ptr<float>();
  return {data, data + t.numel()};
}

template <class T>
const T* data(const at::Tensor& t) {
  return static_cast<const T*>(t.const_data_ptr());
}

// One number a channel each.
struct Statistics {
  std::vector<double> mean, variance;  // the variance without Bessel's correction
};

template <class T>
Statistics statistics(const at::Tensor& x, int64_t stride, const Pixels& p) {
  Statistics found;
  std::vector<float> centre(p.lanes(), 0.0f);
  for (const bool squared : {false, true}) {
    std::vector<float> sums(CHUNKS * p.lanes(), 0.0f);
    each_chunk(p, [&](int64_t chunk, Range range) {
      std::vector<T> buffer(p.lanes());
      moment_of(data<T>(x), stride, range, centre.data(), squared, sums.data() + chunk * p.lanes(), buffer.data());
    });
    std::vector<double> moment = fold(p, sums);
    for (double& m : moment) m /= double(p.pixels);
    if (squared) {
      found.variance = std::move(moment);
    } else {
      centre = spread(p, moment);
      found.mean = std::move(moment);
    }
  }
  return found;
}

// scale = gamma / sqrt(variance + epsilon), shift = beta - scale mean: one number a channel.
struct Affine {
  std::vector<double> scale, shift, mean, inverse;
};

at::Tensor packed(const Affine& a) {
  const int64_t channels = int64_t(a.scale.size());
  at::Tensor t = at::empty({4, channels}, at::kDouble);
  double* to = t.mutable_data_ptr<double>();
  for (const auto* row : {&a.scale, &a.shift, &a.mean, &a.inverse}) to = std::copy(row->begin(), row->end(), to);
  return t;
}

std::vector<double> row_of(const at::Tensor& t, int64_t row) {
  const double* from = t.const_data_ptr<double>() + row * t.size(1);
  return {from, from + t.size(1)};
}

template <class T>
at::Tensor forward_of(const at::Tensor& x, int64_t stride, const Affine& a, bool relu) {
  const Pixels p = pixels_of(x);
  at::Tensor y = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast));
  const std::vector<float> scale = spread(p, a.scale), shift = spread(p, a.shift);
  T* out = static_cast<T*>(y.mutable_data_ptr());
  each_chunk(p, [&](int64_t, Range range) {
    std::vector<T> buffer(p.lanes());
    apply_to(data<T>(x), stride, range, scale.data(), shift.data(), relu, out, buffer.data());
  });
  return y;
}

struct Gradients {
  at::Tensor x, gamma, beta;
};

template <class T>
Gradients backward_of(const at::Tensor& x, const at::Tensor& gradient, const at::Tensor& affine, bool relu) {
  const Pixels p = pixels_of(x);
  Back<T> b{};
  const at::Tensor x_even = evenly(x, &b.x_stride), g_even = evenly(gradient, &b.g_stride);
  const std::vector<float> scale = spread(p, row_of(affine, 0)), shift = spread(p, row_of(affine, 1)),
                           mean = spread(p, row_of(affine, 2));
  const std::vector<double> inverse = row_of(affine, 3);
  b.x = data<T>(x_even), b.g = data<T>(g_even), b.relu = relu;
  b.scale = scale.data(), b.shift = shift.data(), b.mean = mean.data();

  std::vector<float> plain(CHUNKS * p.lanes(), 0.0f), weighted(CHUNKS * p.lanes(), 0.0f);
  each_chunk(p, [&](int64_t chunk, Range range) {
    std::vector<T> buffer(2 * p.lanes());
    const int64_t at = chunk * p.lanes();
    gradients_of(b, range, plain.data() + at, weighted.data() + at, buffer.data());
  });
  std::vector<double> sum = fold(p, plain), dot = fold(p, weighted);

  Gradients found{at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::ChannelsLast)),
                  at::empty({p.channels}, at::kFloat), at::empty({p.channels}, at::kFloat)};
  for (int64_t c = 0; c < p.channels; c++) {
    found.beta.mutable_data_ptr<float>()[c] = float(sum[c]);
    found.gamma.mutable_data_ptr<float>()[c] = float(dot[c] * inverse[c]);
    sum[c] /= double(p.pixels);
    dot[c] *= inverse[c] * inverse[c] / double(p.pixels);
  }
  const std::vector<float> each_plain = spread(p, sum), each_weighted = spread(p, dot);
  T* out = static_cast<T*>(found.x.mutable_data_ptr());
  each_chunk(p, [&](int64_t, Range range) {
    std::vector<T> buffer(2 * p.lanes());
    gradient_to(b, range, each_plain.data(), each_weighted.data(), out, buffer.data());
  });
  return found;
}

struct Normalise : torch::autograd::Function<Normalise> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& gamma,
                            const at::Tensor& beta, const at::Tensor& affine, bool relu) {
    int64_t stride;
    const at::Tensor even = evenly(x, &stride);
    Affine a{row_of(affine, 0), row_of(affine, 1), {}, {}};
    context->save_for_backward({even, affine});
    context->saved_data["relu"] = relu;
    return x.scalar_type() == at::kFloat ? forward_of<float>(even, stride, a, relu)
                                         : forward_of<Brain>(even, stride, a, relu);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const bool relu = context->saved_data["relu"].toBool();
    const Gradients g = saved[0].scalar_type() == at::kFloat
                            ? backward_of<float>(saved[0], gradients[0], saved[1], relu)
                            : backward_of<Brain>(saved[0], gradients[0], saved[1], relu);
    return {g.x, g.gamma, g.beta, at::Tensor(), at::Tensor()};
  }
};

Affine affine_of(const Statistics& s, const at::Tensor& gamma, const at::Tensor& beta, double epsilon) {
  const size_t channels = s.mean.size();
  const std::vector<double> weight = doubles(gamma), bias = doubles(beta);
  Affine a{std::vector<double>(channels), std::vector<double>(channels), s.mean, std::vector<double>(channels)};
  for (size_t c = 0; c < channels; c++) {
    a.inverse[c] = 1.0 / std::sqrt(s.variance[c] + epsilon);
    a.scale[c] = weight[c] * a.inverse[c];
    a.shift[c] = bias[c] - a.scale[c] * s.mean[c];
  }
  return a;
}

Statistics of_batch(const at::Tensor& x) {
  int64_t stride;
  const at::Tensor even = evenly(x.detach(), &stride);
  const Pixels p = pixels_of(even);
  return x.scalar_type() == at::kFloat ? statistics<float>(even, stride, p) : statistics<Brain>(even, stride, p);
}

void check(const at::Tensor& x, const at::Tensor& vector, const char* name) {
  TORCH_CHECK(vector.device().is_cpu() && vector.scalar_type() == at::kFloat && vector.is_contiguous() &&
                  vector.numel() == x.size(1),
              "batch normalisation of ", x.sizes(), ": ", name, " is ", vector.sizes());
}

void move(at::Tensor& running, const std::vector<double>& found, double momentum, double factor) {
  float* to = running.mutable_data_ptr<float>();
  for (size_t c = 0; c < found.size(); c++) to[c] = float((1.0 - momentum) * to[c] + momentum * factor * found[c]);
}

}  // namespace

// `x` [N, C, H, W], float or bfloat16; the others float [C], without gaps. In training by the
// statistics of the batch, the running ones being moved; otherwise by the running ones, without
// gradients. Returns the normalised map, or none with the reason in `error` (`room` bytes).
extern "C" at::Tensor* repro_batch_norm(at::Tensor* x, at::Tensor* gamma, at::Tensor* beta, at::Tensor* mean,
                                        at::Tensor* variance, double momentum, double epsilon, bool training, bool relu,
                                        char* error, size_t room) {
  try {
    TORCH_CHECK(x->device().is_cpu() && x->dim() == 4 && x->numel() > 0, "batch normalisation of ", x->sizes());
    check(*x, *gamma, "gamma");
    check(*x, *beta, "beta");
    check(*x, *mean, "the running mean");
    check(*x, *variance, "the running variance");
    if (!training) {
      const at::NoGradGuard guard;
      const Statistics running{doubles(*mean), doubles(*variance)};
      return new at::Tensor(Normalise::apply(*x, *gamma, *beta, packed(affine_of(running, *gamma, *beta, epsilon)), relu));
    }
    const Statistics batch = of_batch(*x);
    const double pixels = double(x->numel() / x->size(1)), bessel = pixels / std::max(1.0, pixels - 1.0);
    move(*mean, batch.mean, momentum, 1.0);
    move(*variance, batch.variance, momentum, bessel);
    return new at::Tensor(Normalise::apply(*x, *gamma, *beta, packed(affine_of(batch, *gamma, *beta, epsilon)), relu));
  } catch (const std::exception& e) {
    std::strncpy(error, e.what(), room - 1);
    error[room - 1] = 0;
    return nullptr;
  } catch (...) {
    std::strncpy(error, "an unknown exception", room);
    return nullptr;
  }
}
