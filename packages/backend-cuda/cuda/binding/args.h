// Checked access to what JavaScript calls with: a few arguments in their order, or the fields of a kernel by name.
// Tensors come as handles: numbers that stand for device memory whose size and type are known here, so that a wrong one
// is an error and never a wild pointer.
#pragma once
#include <call_fields.h>

#include "../host/failure.h"
#include "../ops/operations.h"

namespace tunesmith::cuda {

struct Buffer {
  Array array;
  int64_t elements = 0;
  Pager::Page* page = nullptr;  // of tensors that may move; where it is now, `use` of the pager says
};
// The tensor, on the device; nullptr for a handle that is none.
const Buffer* bufferOf(int64_t handle);
// A call from JavaScript begins: what it uses stays on the device until the next one does.
void beginOperation();
// The opened device; throws when there is none.
Context& context();

using tunesmith::product;

// The arguments of a function that takes few of them.
class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}
  Napi::Env env() const { return info_.Env(); }

  int64_t integer() {
    return wholeNumber(next("a count").IsNumber() ? last_.As<Napi::Number>().DoubleValue() : -1, what());
  }
  int small() {
    const int64_t n = integer();
    if (n > 2147483647) fail("a smaller count");
    return static_cast<int>(n);
  }
  bool boolean() {
    if (!next("a boolean").IsBoolean()) fail("a boolean");
    return last_.As<Napi::Boolean>().Value();
  }
  std::string text() {
    if (!next("a string").IsString()) fail("a string");
    return last_.As<Napi::String>().Utf8Value();
  }
  // A tensor's values on the host, or the array for them: float32, or int32 as the tensor is.
  void* valuesOf(const Buffer* b) {
    if (!next("a typed array").IsTypedArray()) fail("a typed array");
    const Napi::TypedArray values = last_.As<Napi::TypedArray>();
    const napi_typedarray_type wanted = b && b->array.type == Type::i32 ? napi_int32_array : napi_float32_array;
    if (!b || values.TypedArrayType() != wanted || static_cast<int64_t>(values.ElementLength()) != b->elements)
      fail("an array of the tensor's type and size");
    return static_cast<char*>(values.ArrayBuffer().Data()) + values.ByteOffset();
  }
  bool atEnd() const { return index_ >= info_.Length(); }
  [[noreturn]] void fail(const char* expected) const { refuse(what(), expected); }

 private:
  std::string what() const { return "argument " + std::to_string(index_); }
  Napi::Value& next(const char* expected) {
    if (index_ >= info_.Length()) {
      index_++;
      fail(expected);
    }
    return last_ = info_[index_++];
  }

  const Napi::CallbackInfo& info_;
  size_t index_ = 0;
  Napi::Value last_;
};

// The next argument's values, for a tensor that is to have them.
Staging::Upload uploadOf(Args& a, const Buffer* b);

// How a tensor must be stored: floats are float32 or bf16.
enum class Stored { floats, f32, ints, any };

// The tensor of a handle, of at least `count` elements.
inline Array tensorOf(int64_t handle, int64_t count, Stored stored, const char* name) {
  const Buffer* b = bufferOf(handle);
  const Type type = b ? b->array.type : Type::f32;
  const bool fits = stored == Stored::any || (stored == Stored::floats && type != Type::i32) ||
      (stored == Stored::f32 && type == Type::f32) || (stored == Stored::ints && type == Type::i32);
  static const char* const kNames[] = {"floats", "float32 elements", "int32 elements", "elements"};
  if (!b || !fits || b->elements < count)
    refuse(quoted(name), "a tensor of at least " + std::to_string(count) + " " + kNames[static_cast<int>(stored)]);
  return b->array;
}

// What fields and entries of a list have in common: tensors by the numbers that `Source::number` gives.
template <class Source> class Tensors {
 public:
  int64_t count(const char* name) { return wholeNumber(self().number(name), quoted(name)); }
  int small(const char* name) {
    const int64_t n = count(name);
    if (n > 2147483647) fail(name, "a smaller count");
    return static_cast<int>(n);
  }
  float real(const char* name) { return static_cast<float>(self().number(name)); }
  Array floats(const char* name, int64_t n) { return tensorOf(count(name), n, Stored::floats, name); }
  Array optionalFloats(const char* name, int64_t n) { return self().has(name) ? floats(name, n) : Array(); }
  // Float32 as stored: parameters, statistics, tables.
  Array f32Array(const char* name, int64_t n) { return tensorOf(count(name), n, Stored::f32, name); }
  float* f32(const char* name, int64_t n) { return static_cast<float*>(f32Array(name, n).data); }
  int32_t* ints(const char* name, int64_t n) {
    return static_cast<int32_t*>(tensorOf(count(name), n, Stored::ints, name).data);
  }
  int32_t* optionalInts(const char* name, int64_t n) { return self().has(name) ? ints(name, n) : nullptr; }
  Array any(const char* name, int64_t n) { return tensorOf(count(name), n, Stored::any, name); }

  [[noreturn]] static void fail(const char* name, const std::string& expected) { refuse(quoted(name), expected); }

 private:
  Source& self() { return static_cast<Source&>(*this); }
};

// One entry of a list of tensors: its numbers, in the order of the names.
class Entry : public Tensors<Entry> {
 public:
  Entry(const double* values, const Names& names) : values_(values), names_(names) {}
  double number(const char* name) {
    last_ = placeOf(names_, name, last_);
    if (last_ == names_.size()) fail(name, "an entry of that name");
    return values_[last_];
  }
  // Handle 0 is no tensor.
  bool has(const char* name) { return number(name) != 0; }

 private:
  const double* values_;
  const Names& names_;
  size_t last_ = 0;
};

// A call, whose list has entries of the same names.
class Fields : public CallFields, public Tensors<Fields> {
 public:
  using CallFields::fail;
  Fields(const Napi::CallbackInfo& info, const Names& names, const Names& entryNames)
      : CallFields(info, names), entryNames_(entryNames) {}

  // Integers in the host's memory.
  const int32_t* hostInts(const char* name, int64_t count) {
    static const int32_t nothing = 0;
    size_t length = 0;
    const void* data = array(name, napi_int32_array, "an Int32Array", length);
    if (static_cast<int64_t>(length) < count)
      fail(name, "an Int32Array of at least " + std::to_string(count) + " elements");
    return length ? static_cast<const int32_t*>(data) : &nothing;
  }
  const int32_t* optionalHostInts(const char* name, int64_t count) {
    return has(name) ? hostInts(name, count) : nullptr;
  }
  const double* doubles(const char* name, size_t& length) {
    return static_cast<const double*>(array(name, napi_float64_array, "a Float64Array", length));
  }

  // Reads the entries of the list with `read` and has `submit` do the work of what was read. When not all have room on
  // the device at once, it is done in parts: what was submitted may leave before the next is read.
  template <class Read, class Submit> void eachEntry(Read read, Submit submit) {
    size_t length = 0, unsubmitted = 0;
    const double* values = doubles("list", length);
    for (size_t at = 0; at + entryNames_.size() <= length;) {
      Entry entry(values + at, entryNames_);
      try {
        read(entry);
        unsubmitted++;
        at += entryNames_.size();
      } catch (const Failure& f) {
        if (f.code != "out_of_memory" || unsubmitted == 0) throw;
        submit();
        unsubmitted = 0;
        beginOperation();
      }
    }
    submit();
  }

  Weight weight() {
    return readWeight<Weight>(*this, [this](const char* name, int64_t n) { return f32(name, n); });
  }
  Dropout dropout(const char* rate) { return readDropout<Dropout>(*this, rate); }

 private:
  const Names& entryNames_;
};

// Runs `body`; what it throws becomes a JavaScript error with `code` and `remedy`.
template <class Body> Napi::Value guarded(Napi::Env env, const Body& body) {
  std::string code = "internal", message, remedy;
  try {
    beginOperation();
    return body();
  } catch (const Failure& f) {
    code = f.code;
    message = f.what();
    remedy = f.remedy;
  } catch (const WrongField& wrong) {
    code = "invalid_data";
    message = wrong.message;
  } catch (const std::exception& e) {
    message = e.what();
  }
  const Napi::Error error = Napi::Error::New(env, message);
  error.Value().Set("code", code);
  error.Value().Set("remedy", remedy);
  error.ThrowAsJavaScriptException();
  return env.Undefined();
}

// Adds a function of few arguments.
template <class F> void add(Napi::Env env, Napi::Object exports, const char* name, F body) {
  const auto call = [body](const Napi::CallbackInfo& info) -> Napi::Value {
    return guarded(info.Env(), [&]() -> Napi::Value {
      Args a(info);
      if constexpr (std::is_void_v<decltype(body(a))>) {
        body(a);
        return info.Env().Undefined();
      } else {
        return body(a);
      }
    });
  };
  exports.Set(name, Napi::Function::New(env, call, name));
}

// A kernel or operation, which JavaScript binds to the names of its fields.
struct NamedBody {
  const char* name;
  void (*body)(Fields& f);
};
const std::vector<NamedBody>& kernels();
const std::vector<NamedBody>& operations();

// Runs a check of integers on their values on the host; a step that is being captured repeats it before each launch.
template <class Check> void checked(const char* name, const std::vector<CheckedInts>& ints, Check check) {
  std::vector<const int32_t*> host;
  for (const CheckedInts& i : ints) host.push_back(i.host);
  check(host);
  if (context().capture) context().capture->require(name, ints, check);
}

void addCapture(Napi::Env env, Napi::Object exports);
// Before the device is closed.
void dropCapturedSteps();

}  // namespace tunesmith::cuda
