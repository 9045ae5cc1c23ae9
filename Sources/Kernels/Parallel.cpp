#include "Parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <exception>
#include <mutex>

#if defined(__APPLE__)
#include <dispatch/dispatch.h>
#else
#include <dlfcn.h>
#endif

namespace lora {
namespace {

struct Job {
  int64_t count, parts;
  const std::function<void(int64_t, int64_t)> &body;
  std::exception_ptr failure;
  std::mutex lock;

  void run(int64_t part) {
    auto step = (count + parts - 1) / parts;
    auto begin = part * step, end = std::min(count, begin + step);
    if (begin >= end) return;
    try {
      body(begin, end);
    } catch (...) {
      std::lock_guard<std::mutex> guard(lock);
      failure = std::current_exception();
    }
  }
};

#if defined(__APPLE__)
void run_all(Job &job) {
  dispatch_apply_f(job.parts, DISPATCH_APPLY_AUTO, &job,
                   [](void *context, size_t part) { static_cast<Job *>(context)->run(static_cast<int64_t>(part)); });
}
#else
// libtorch brings its own OpenMP library under a name of its own; a second pool beside it would fight for the cores.
using Parallel = void (*)(void (*)(void *), void *, unsigned, unsigned);
using ThreadNumber = int (*)();

void run_all(Job &job) {
  static auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  static auto thread_number = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  static auto thread_count = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  if (!parallel || !thread_number || !thread_count) {
    for (int64_t part = 0; part < job.parts; part++) job.run(part);
    return;
  }
  // The pool may give fewer threads than were asked for: each takes every n-th part.
  auto task = [](void *context) {
    auto &job = *static_cast<Job *>(context);
    for (int64_t part = thread_number(); part < job.parts; part += thread_count()) job.run(part);
  };
  parallel(task, &job, static_cast<unsigned>(job.parts), 0);
}
#endif

}  // namespace

void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &body) {
  if (count <= 0) return;
  auto parts = std::min<int64_t>(at::get_num_threads(), (count + grain - 1) / std::max<int64_t>(grain, 1));
  if (parts <= 1) return body(0, count);
  Job job{count, parts, body, nullptr, {}};
  run_all(job);
  if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace lora
