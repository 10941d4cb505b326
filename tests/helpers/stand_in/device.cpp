// A stand-in for an accelerator: device "gpu" (PrivateUse1), whose memory is that of the host and
// whose kernels are those of the CPU. Tensors of the two devices do not mix, as on a real one.
#include <torch/extension.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/Allocator.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/native/Resize.h>
#include <torch/library.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/native_batch_norm.h>
using namespace at;
struct Alloc final : c10::Allocator {
  static void del(void* p) { free(p); }
  c10::DataPtr allocate(size_t n) override {
    void* p = nullptr;
    if (posix_memalign(&p, 64, n + 64)) throw std::bad_alloc();
    return {p, p, &del, c10::Device(c10::DeviceType::PrivateUse1, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &del; }
  void copy_data(void* d, const void* s, std::size_t n) const override { memcpy(d, s, n); }
};
static Alloc alloc_;
REGISTER_ALLOCATOR(c10::DeviceType::PrivateUse1, &alloc_);
struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::DeviceType::PrivateUse1;
  Guard() {} explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return static_type; }
  c10::Device exchangeDevice(c10::Device d) const override { return {static_type, 0}; }
  c10::Device getDevice() const override { return {static_type, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device d) const override { return c10::Stream(c10::Stream::DEFAULT, c10::Device(static_type, 0)); }
  c10::Stream getDefaultStream(c10::Device) const override { return getStream({static_type,0}); }
  c10::Stream getNewStream(c10::Device, int) const override { return getStream({static_type,0}); }
  c10::Stream exchangeStream(c10::Stream s) const override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** e, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);
struct Hooks final : PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  void resizePrivateUse1Bytes(const c10::Storage& s, size_t n) const override {
    auto p = alloc_.allocate(n); memcpy(p.get(), s.data(), std::min(n, s.nbytes()));
    const_cast<c10::Storage&>(s).set_data_ptr(std::move(p)); const_cast<c10::Storage&>(s).set_nbytes(n);
  }
};
static Tensor alias_cpu(const Tensor& t) {
  if (t.device().type() != c10::DeviceType::PrivateUse1) return t;
  auto keep = t;
  if (t.numel() == 0) return at::empty_strided(t.sizes(), t.strides(), t.options().device(kCPU));
  return at::from_blob(t.data_ptr(), t.sizes(), t.strides(), [keep](void*) {}, t.options().device(kCPU));
}
static Tensor empty_mf(IntArrayRef size, std::optional<ScalarType> dt, std::optional<Layout> l, std::optional<Device> d, std::optional<bool> pin, std::optional<MemoryFormat> mf) {
  return at::detail::empty_generic(size, &alloc_, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dt.value_or(at::typeMetaToScalarType(at::get_default_dtype())), mf);
}
static Tensor empty_st(IntArrayRef size, IntArrayRef st, std::optional<ScalarType> dt, std::optional<Layout> l, std::optional<Device> d, std::optional<bool> pin) {
  return at::detail::empty_strided_generic(size, st, &alloc_, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), dt.value_or(at::typeMetaToScalarType(at::get_default_dtype())));
}
static Tensor copy_from(const Tensor& self, const Tensor& dst, bool nb) {
  c10::impl::ExcludeDispatchKeyGuard g(c10::DispatchKey::PrivateUse1);
  alias_cpu(dst).copy_(alias_cpu(self));
  return dst;
}
static Tensor copy_from_resize(const Tensor& self, const Tensor& dst) { at::native::resize_(dst, self.sizes()); return copy_from(self, dst, false); }
static const Tensor& resize_k(const Tensor& self, IntArrayRef size, std::optional<MemoryFormat> mf) {
  auto* impl = self.unsafeGetTensorImpl();
  auto n = at::detail::computeStorageNbytesContiguous(size, self.dtype().itemsize(), self.storage_offset());
  if (n > self.storage().nbytes()) Hooks().resizePrivateUse1Bytes(self.storage(), n);
  impl->set_sizes_contiguous(size);
  if (mf.has_value()) impl->empty_tensor_restride(*mf);
  return self;
}
static Tensor view_k(const Tensor& self, c10::SymIntArrayRef s) { return at::native::view(self, C10_AS_INTARRAYREF_SLOW(s)); }
static Tensor as_strided_k(const Tensor& self, IntArrayRef s, IntArrayRef st, std::optional<int64_t> o) { return at::native::as_strided_tensorimpl(self, s, st, o); }
static Tensor reshape_alias_k(const Tensor& self, IntArrayRef s, IntArrayRef st) { return at::native::as_strided_tensorimpl(self, s, st, self.storage_offset()); }
static Tensor unfold_k(const Tensor& self, int64_t d, int64_t size, int64_t step) { return at::native::unfold(self, d, size, step); }
static Tensor& set_storage_k(Tensor& self, Storage s, int64_t off, IntArrayRef size, IntArrayRef st) {
  self.unsafeGetTensorImpl()->set_storage_keep_dtype(s); self.unsafeGetTensorImpl()->set_storage_offset(off);
  self.unsafeGetTensorImpl()->set_sizes_and_strides(size, st); return self; }
static Tensor& set_t_k(Tensor& self, const Tensor& o) { return set_storage_k(self, o.storage(), o.storage_offset(), o.sizes(), o.strides()); }
static Scalar local_scalar(const Tensor& self) { return alias_cpu(self).item(); }
static Tensor to_dev(const Tensor& t) {
  if (!t.defined()) return t;
  auto out = at::empty_strided(t.sizes(), t.strides(), t.options().device(c10::Device(c10::DeviceType::PrivateUse1, 0)));
  alias_cpu(out).copy_(t); return out; }
static Tensor conv(const Tensor& i, const Tensor& w, const std::optional<Tensor>& b, IntArrayRef s, IntArrayRef p, IntArrayRef d, bool tr, IntArrayRef op, int64_t g) {
  std::optional<Tensor> bb; if (b.has_value() && b->defined()) bb = alias_cpu(*b);
  return to_dev(at::convolution(alias_cpu(i), alias_cpu(w), bb, s, p, d, tr, op, g)); }
static std::tuple<Tensor,Tensor,Tensor> conv_b(const Tensor& go, const Tensor& i, const Tensor& w, IntArrayRef s, IntArrayRef p, IntArrayRef d, bool tr, IntArrayRef op, int64_t g, std::array<bool,3> m) {
  auto r = at::convolution_backward(alias_cpu(go), alias_cpu(i), alias_cpu(w), IntArrayRef({w.size(0)}), s, p, d, tr, op, g, m);
  return {to_dev(std::get<0>(r)), to_dev(std::get<1>(r)), to_dev(std::get<2>(r))}; }
static std::tuple<Tensor,Tensor,Tensor> bn(const Tensor& i, const std::optional<Tensor>& w, const std::optional<Tensor>& b, const std::optional<Tensor>& rm, const std::optional<Tensor>& rv, bool tr, double mo, double eps) {
  auto A = [](const std::optional<Tensor>& t) { return t.has_value() && t->defined() ? std::optional<Tensor>(alias_cpu(*t)) : std::nullopt; };
  auto r = at::native_batch_norm(alias_cpu(i), A(w), A(b), A(rm), A(rv), tr, mo, eps);
  return {to_dev(std::get<0>(r)), to_dev(std::get<1>(r)), to_dev(std::get<2>(r))}; }
static void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  at::native::cpu_fallback(op, stack);
}
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty_mf); m.impl("empty_strided", empty_st); m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_resize); m.impl("resize_", resize_k); m.impl("view", view_k); m.impl("as_strided", as_strided_k);
  m.impl("_reshape_alias", reshape_alias_k); m.impl("unfold", unfold_k); m.impl("set_.source_Storage_storage_offset", set_storage_k); m.impl("set_.source_Tensor", set_t_k);
  m.impl("_local_scalar_dense", local_scalar); m.impl("convolution_overrideable", conv); m.impl("native_batch_norm", bn); m.impl("convolution_backward_overrideable", conv_b);
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define _KP(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
  AT_FORALL_LOWER_PRECISION_FP(_KP)
#undef _KP
#define _KF(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
  AT_FORALL_FP32(_KF)
#undef _KF
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("init", [] { static Hooks h; at::RegisterPrivateUse1HooksInterface(&h); });
}
