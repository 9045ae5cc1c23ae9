#ifndef CTORCH_H
#define CTORCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The whole of libtorch that Swift sees. Three rules hold for every function: no C++ type crosses this header, no
// exception leaves it, and every `CTorchTensor *out` receives a +1 reference that the caller must release.

typedef struct CTorchTensorImpl *CTorchTensor;
typedef const struct CTorchOperatorHandle *CTorchOperator;

// CTORCH_OK, or the reason is in ctorch_last_error() of this thread.
typedef int32_t CTorchStatus;
enum { CTORCH_OK = 0, CTORCH_FAILED = 1, CTORCH_OUT_OF_MEMORY = 2 };
const char *ctorch_last_error(void);

// MARK: Operators

// Argument tape: each argument is a tag followed by its words.
enum {
  CTORCH_NONE = 0,               //
  CTORCH_TENSOR = 1,             // handle
  CTORCH_INT = 2,                // value
  CTORCH_DOUBLE = 3,             // bits
  CTORCH_BOOL = 4,               // 0 or 1
  CTORCH_INTS = 5,               // count, values...
  CTORCH_TENSORS = 6,            // count, handles...
  CTORCH_STRING = 7,             // byte count, packed bytes...
  CTORCH_DEVICE = 8,             // type, index
  CTORCH_DEFAULT = 9,            // the schema's default
  CTORCH_OPTIONAL_TENSORS = 10,  // count, handles or 0...
  CTORCH_DOUBLES = 11,           // count, bits...
};

CTorchStatus ctorch_find_operator(const char *name, const char *overload, CTorchOperator *out);
// The schema as libtorch prints it; valid until the next call on this thread.
const char *ctorch_schema(CTorchOperator);
CTorchStatus ctorch_call(CTorchOperator op, const int64_t *tape, int64_t words,
                         CTorchTensor *results, int64_t capacity, int64_t *count);

// MARK: Tensors

CTorchTensor ctorch_retain(CTorchTensor tensor);
void ctorch_release(CTorchTensor tensor);
int64_t ctorch_rank(CTorchTensor tensor);
const int64_t *ctorch_shape(CTorchTensor tensor);
int32_t ctorch_dtype(CTorchTensor tensor);                                // c10::ScalarType
void ctorch_device(CTorchTensor tensor, int32_t *type, int32_t *index);  // c10::DeviceType; -1: no index
CTorchStatus ctorch_data(CTorchTensor tensor, void **out);               // contiguous CPU tensors only
// `release(context)` is called once: with the last reference to the memory, or at once where this fails.
CTorchStatus ctorch_from_blob(void *data, const int64_t *shape, int64_t rank, int32_t dtype,
                              void (*release)(void *context), void *context, CTorchTensor *out);

// MARK: Gradients

// `gradient` may be null where `root` is a single number.
CTorchStatus ctorch_backward(CTorchTensor root, CTorchTensor gradient);
CTorchStatus ctorch_grad(CTorchTensor tensor, CTorchTensor *out);           // null: no gradient yet
CTorchStatus ctorch_set_grad(CTorchTensor tensor, CTorchTensor gradient);  // null clears it
CTorchStatus ctorch_set_requires_grad(CTorchTensor tensor, int32_t on);
int32_t ctorch_requires_grad(CTorchTensor tensor);
int32_t ctorch_set_grad_enabled(int32_t on);  // returns the former value, per thread

// Gradient checkpointing: computes `body(input)` without recording it and computes it again, recorded, on the way
// back. `body` gives +1 and returns 0, or leaves its reason through ctorch_set_last_error.
typedef CTorchStatus (*CTorchBody)(void *context, CTorchTensor input, CTorchTensor *out);
CTorchStatus ctorch_checkpoint(CTorchBody body, void *context, void (*release)(void *context),
                               CTorchTensor input, CTorchTensor *out);
void ctorch_set_last_error(const char *message);

// MARK: The machine

const char *ctorch_version(void);
void ctorch_set_threads(int32_t count);
int32_t ctorch_threads(void);
// Lets the process keep memory that a training step frees for the next step.
void ctorch_keep_memory(void);
// Loads libtorch's CUDA half. Call before anything asks whether CUDA is there.
CTorchStatus ctorch_load_cuda(const char *library);
int32_t ctorch_device_count(int32_t type);
// Bytes now and at most in libtorch's own allocator; zero for the CPU.
CTorchStatus ctorch_device_memory(int32_t type, int32_t index, int64_t *now, int64_t *peak);

#ifdef __cplusplus
}
#endif
#endif
