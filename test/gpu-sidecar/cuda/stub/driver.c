// A CUDA driver without a GPU: the calls that Stator makes, on host memory, for tests. It is stricter than the real one where that
// finds mistakes, and follows it where code could rely on the wrong thing:
//
// - A copy from ordinary host memory has taken its bytes when it returns and not yet written them to the device; that happens when
//   the null stream is waited for or copied back from. Streams of our own do not wait for it.
// - Streams do nothing until somebody asks: each cuEventQuery runs one queued operation of each stream. Code that does not wait
//   reads old bytes.
// - Device memory is a memfd, so that another process really opens it by its IPC handle (not its own, as with the real one).
// - Copies are refused outside of live allocations, asynchronous ones outside of pinned host memory, and freeing memory that a
//   queued operation names (the real driver would wait).
// - A kernel that fails breaks the context: every later call says so.
// - Kernels are the text of gpu-sidecar/cuda/kernels/blocks.cu, run thread by thread.
//
// STUB_CUDA_FAULTS="cuMemAlloc_v2=2,kernel=719" makes calls return a status (`kernel`: the execution, not the launch);
// STUB_CUDA_VERSION, STUB_CUDA_DEVICES and STUB_CUDA_MEMORY_BYTES say what machine it is. Read at each call.
// With -DWITH_CUDA_H it is compiled against NVIDIA's header, which then checks every signature here.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#ifdef WITH_CUDA_H
#include <cuda.h>
#else
#define CUDAAPI
typedef int CUresult;
typedef int CUdevice;
typedef int CUdevice_attribute;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct { char bytes[16]; } CUuuid;
typedef struct { char reserved[64]; } CUipcMemHandle;
#endif

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
       INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600 };

static const struct { int status; const char *name, *text; } errors[] = {
  {0, "CUDA_SUCCESS", "no error"},
  {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
  {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
  {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
  {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
  {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
  {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
  {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
  {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
  {600, "CUDA_ERROR_NOT_READY", "device not ready"},
  {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
  {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
  {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
};

// ---- faults ----------------------------------------------------------------------------------------------------------------

static int broken = 0;

static int fault_of(const char *call) {
  const char *faults = getenv("STUB_CUDA_FAULTS");
  size_t length = strlen(call);
  const char *at;
  for (at = faults; at != NULL && *at != 0; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    if (strncmp(at, call, length) == 0 && at[length] == '=') return atoi(at + length + 1);
  }
  return 0;
}

static long number_of(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text == NULL || *text == 0 ? otherwise : atol(text);
}

#define FAULTS() do { int f_ = fault_of(__func__); if (broken) return broken; if (f_) return f_; } while (0)

// ---- first calls -----------------------------------------------------------------------------------------------------------

CUresult CUDAAPI cuGetErrorName(CUresult error, const char **pStr) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].status == (int)error) { *pStr = errors[i].name; return OK; }
  *pStr = NULL;
  return INVALID_VALUE;
}

CUresult CUDAAPI cuGetErrorString(CUresult error, const char **pStr) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].status == (int)error) { *pStr = errors[i].text; return OK; }
  *pStr = NULL;
  return INVALID_VALUE;
}

static int devices(void) { return (int)number_of("STUB_CUDA_DEVICES", 1); }

CUresult CUDAAPI cuInit(unsigned int Flags) {
  FAULTS();
  if (Flags != 0) return INVALID_VALUE;
  return devices() == 0 ? NO_DEVICE : OK;
}

CUresult CUDAAPI cuDriverGetVersion(int *driverVersion) {
  *driverVersion = (int)number_of("STUB_CUDA_VERSION", 12090);
  return OK;
}

CUresult CUDAAPI cuDeviceGetCount(int *count) { FAULTS(); *count = devices(); return OK; }

#define DEVICE(dev) if ((dev) < 0 || (dev) >= devices()) return INVALID_DEVICE

CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) { FAULTS(); DEVICE(ordinal); *device = ordinal; return OK; }

CUresult CUDAAPI cuDeviceGetName(char *name, int len, CUdevice dev) {
  FAULTS();
  DEVICE(dev);
  snprintf(name, (size_t)len, "Stub GPU %d", dev);
  return OK;
}

CUresult CUDAAPI cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev) {
  FAULTS();
  DEVICE(dev);
  for (int i = 0; i < 16; i++) uuid->bytes[i] = (char)(i * 16 + dev);
  return OK;
}

static size_t memory_limit(void) { return (size_t)number_of("STUB_CUDA_MEMORY_BYTES", 1l << 30); }

CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev) { FAULTS(); DEVICE(dev); *bytes = memory_limit(); return OK; }

CUresult CUDAAPI cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev) {
  FAULTS();
  DEVICE(dev);
  *pi = attrib == 75 ? 9 : attrib == 76 ? 0 : attrib == 16 ? 132 : 0;
  return OK;
}

CUresult CUDAAPI cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev) {
  FAULTS();
  DEVICE(dev);
  snprintf(pciBusId, (size_t)len, "0000:%02X:00.0", 0x1b + dev);
  return OK;
}

// ---- context ---------------------------------------------------------------------------------------------------------------

static int contexts = 0;
static __thread CUcontext current = NULL;
static char the_context;

CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev) {
  FAULTS();
  DEVICE(dev);
  contexts++;
  *pctx = (CUcontext)&the_context;
  return OK;
}

CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice dev) {
  DEVICE(dev);
  if (contexts == 0) return INVALID_CONTEXT;
  if (--contexts == 0) current = NULL;
  return OK;
}

CUresult CUDAAPI cuCtxSetCurrent(CUcontext ctx) {
  if (ctx != NULL && (ctx != (CUcontext)&the_context || contexts == 0)) return INVALID_CONTEXT;
  current = ctx;
  return OK;
}

#define IN_CONTEXT() FAULTS(); if (current == NULL || contexts == 0) return INVALID_CONTEXT

// ---- memory ----------------------------------------------------------------------------------------------------------------

enum Kind { DEVICE_MEMORY, PINNED, REGISTERED, PEER, KINDS };
struct Range { enum Kind kind; char *at; size_t bytes; int fd; struct Range *next; };
static struct Range *ranges = NULL;
static int live[KINDS + 3];
enum { STREAMS = KINDS, EVENTS, MODULES };

int stub_cuda_live(int kind) { return kind == KINDS + 3 ? contexts : live[kind]; }

static struct Range *add_range(enum Kind kind, void *at, size_t bytes, int fd) {
  struct Range *range = malloc(sizeof *range);
  *range = (struct Range){kind, at, bytes, fd, ranges};
  ranges = range;
  live[kind]++;
  return range;
}

static struct Range *range_of(const void *at, size_t bytes, int device) {
  const char *start = at;
  for (struct Range *r = ranges; r != NULL; r = r->next) {
    int isDevice = r->kind == DEVICE_MEMORY || r->kind == PEER;
    if (isDevice == device && start >= r->at && start + bytes <= r->at + r->bytes) return r;
  }
  return NULL;
}

static int queued_in(const struct Range *range);

static CUresult drop_range(const void *at, enum Kind kind) {
  for (struct Range **link = &ranges; *link != NULL; link = &(*link)->next) {
    struct Range *r = *link;
    if (r->at != at || r->kind != kind) continue;
    if (queued_in(r)) return INVALID_VALUE;
    *link = r->next;
    live[kind]--;
    if (kind != REGISTERED) munmap(r->at, r->bytes);
    if (r->fd >= 0) close(r->fd);
    free(r);
    return OK;
  }
  return INVALID_VALUE;
}

static size_t device_bytes(void) {
  size_t sum = 0;
  for (struct Range *r = ranges; r != NULL; r = r->next) if (r->kind == DEVICE_MEMORY) sum += r->bytes;
  return sum;
}

CUresult CUDAAPI cuMemGetInfo_v2(size_t *free, size_t *total) {
  IN_CONTEXT();
  *total = memory_limit();
  *free = *total - device_bytes();
  return OK;
}

CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize) {
  IN_CONTEXT();
  if (bytesize == 0) return INVALID_VALUE;
  if (device_bytes() + bytesize > memory_limit()) return OUT_OF_MEMORY;
  int fd = memfd_create("stub-cuda", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, (off_t)bytesize) != 0) return OUT_OF_MEMORY;
  char *at = mmap(NULL, bytesize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return OUT_OF_MEMORY;
  // Nobody may expect zeros of a GPU.
  memset(at, 0xcd, bytesize);
  add_range(DEVICE_MEMORY, at, bytesize, fd);
  *dptr = (CUdeviceptr)(uintptr_t)at;
  return OK;
}

static void write_staged(void);

CUresult CUDAAPI cuMemFree_v2(CUdeviceptr dptr) { IN_CONTEXT(); write_staged(); return drop_range((void *)(uintptr_t)dptr, DEVICE_MEMORY); }

CUresult CUDAAPI cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags) {
  IN_CONTEXT();
  if (bytesize == 0 || Flags > 7) return INVALID_VALUE;
  char *at = mmap(NULL, bytesize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return OUT_OF_MEMORY;
  add_range(PINNED, at, bytesize, -1);
  *pp = at;
  return OK;
}

CUresult CUDAAPI cuMemFreeHost(void *p) { IN_CONTEXT(); return drop_range(p, PINNED); }

CUresult CUDAAPI cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags) {
  IN_CONTEXT();
  if (p == NULL || bytesize == 0 || Flags > 15) return INVALID_VALUE;
  if (range_of(p, 1, 0) != NULL) return INVALID_VALUE;
  add_range(REGISTERED, p, bytesize, -1);
  return OK;
}

CUresult CUDAAPI cuMemHostUnregister(void *p) { IN_CONTEXT(); return drop_range(p, REGISTERED); }

CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p, unsigned int Flags) {
  IN_CONTEXT();
  if (Flags != 0 || range_of(p, 1, 0) == NULL) return INVALID_VALUE;
  *pdptr = (CUdeviceptr)(uintptr_t)p;
  return OK;
}

struct Staged { char *to, *bytes; size_t length; struct Staged *next; };
static struct Staged *staged = NULL, **staged_end = &staged;

static void write_staged(void) {
  while (staged != NULL) {
    struct Staged *s = staged;
    memcpy(s->to, s->bytes, s->length);
    staged = s->next;
    free(s->bytes);
    free(s);
  }
  staged_end = &staged;
}

CUresult CUDAAPI cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount) {
  IN_CONTEXT();
  if (range_of((void *)(uintptr_t)dstDevice, ByteCount, 1) == NULL) return INVALID_VALUE;
  struct Staged *s = malloc(sizeof *s);
  *s = (struct Staged){(char *)(uintptr_t)dstDevice, malloc(ByteCount + 1), ByteCount, NULL};
  memcpy(s->bytes, srcHost, ByteCount);
  *staged_end = s;
  staged_end = &s->next;
  return OK;
}

CUresult CUDAAPI cuStreamSynchronize(CUstream hStream) {
  IN_CONTEXT();
  if (hStream != NULL) return INVALID_HANDLE;
  write_staged();
  return OK;
}

CUresult CUDAAPI cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount) {
  IN_CONTEXT();
  if (range_of((void *)(uintptr_t)srcDevice, ByteCount, 1) == NULL) return INVALID_VALUE;
  write_staged();
  memcpy(dstHost, (void *)(uintptr_t)srcDevice, ByteCount);
  return OK;
}

// ---- kernels ---------------------------------------------------------------------------------------------------------------

struct Index { unsigned int x, y, z; };
static struct Index gridDim, blockDim, blockIdx, threadIdx;
typedef struct { unsigned int x, y, z, w; } uint4;
#define __device__
#define __global__ static
#include "blocks.cu"

struct CUfunc_st { int gather; };
static struct CUfunc_st gather_function = {1}, scatter_function = {0};

struct Launch {
  struct CUfunc_st *function;
  struct Index grid, block;
  const struct Plane *planes;
  const unsigned int *cells;
  const unsigned long long *blocks;
  unsigned int tokens, heads, pieceBytes;
};

static void run_kernel(const struct Launch *k) {
  gridDim = k->grid;
  blockDim = k->block;
  for (blockIdx.z = 0; blockIdx.z < k->grid.z; blockIdx.z++)
  for (blockIdx.y = 0; blockIdx.y < k->grid.y; blockIdx.y++)
  for (blockIdx.x = 0; blockIdx.x < k->grid.x; blockIdx.x++)
  for (threadIdx.x = 0; threadIdx.x < k->block.x; threadIdx.x++) {
    if (k->function->gather) stator_gather_blocks(k->planes, k->cells, k->blocks, k->tokens, k->heads, k->pieceBytes);
    else stator_scatter_blocks(k->planes, k->cells, k->blocks, k->tokens, k->heads, k->pieceBytes);
  }
}

// ---- streams and events ----------------------------------------------------------------------------------------------------

struct CUevent_st { int recorded, pending; };
enum OperationKind { COPY, MARK, WAIT, KERNEL };
struct Operation {
  enum OperationKind kind;
  char *to;
  const char *from;
  size_t bytes;
  struct CUevent_st *event;
  struct Launch launch;
  struct Operation *next;
};
struct CUstream_st { struct Operation *first, *last; struct CUstream_st *next; };
static struct CUstream_st *streams = NULL;

static struct CUstream_st *known_stream(CUstream stream) {
  struct CUstream_st *s = streams;
  while (s != NULL && s != (struct CUstream_st *)stream) s = s->next;
  return s;
}

static int overlaps(const struct Range *r, const char *at, size_t bytes) {
  return at != NULL && at < r->at + r->bytes && at + bytes > r->at;
}

static int queued_in(const struct Range *r) {
  for (struct CUstream_st *s = streams; s != NULL; s = s->next)
    for (struct Operation *o = s->first; o != NULL; o = o->next) {
      if (o->kind == COPY && (overlaps(r, o->to, o->bytes) || overlaps(r, o->from, o->bytes))) return 1;
      if (o->kind == KERNEL && (overlaps(r, (const char *)o->launch.planes, 1) || overlaps(r, (const char *)o->launch.cells, 1))) return 1;
    }
  return 0;
}

static CUresult queue(CUstream stream, struct Operation operation) {
  struct CUstream_st *s = known_stream(stream);
  if (s == NULL) return INVALID_HANDLE;
  struct Operation *o = malloc(sizeof *o);
  *o = operation;
  o->next = NULL;
  if (s->last) s->last->next = o; else s->first = o;
  s->last = o;
  return OK;
}

// Runs the first operation of a stream; 0 when there is none or it waits for another stream.
static int step(struct CUstream_st *s) {
  struct Operation *o = s->first;
  if (o == NULL || broken) return 0;
  if (o->kind == WAIT && o->event->pending > 0) return 0;
  if (o->kind == COPY) memcpy(o->to, o->from, o->bytes);
  if (o->kind == MARK) o->event->pending--;
  if (o->kind == KERNEL) {
    broken = fault_of("kernel");
    if (!broken) run_kernel(&o->launch);
  }
  s->first = o->next;
  if (s->first == NULL) s->last = NULL;
  free(o);
  return 1;
}

CUresult CUDAAPI cuStreamCreate(CUstream *phStream, unsigned int Flags) {
  IN_CONTEXT();
  if (Flags > 1) return INVALID_VALUE;
  struct CUstream_st *s = calloc(1, sizeof *s);
  s->next = streams;
  streams = s;
  live[STREAMS]++;
  *phStream = (CUstream)s;
  return OK;
}

CUresult CUDAAPI cuStreamDestroy_v2(CUstream hStream) {
  IN_CONTEXT();
  for (struct CUstream_st **link = &streams; *link != NULL; link = &(*link)->next) {
    struct CUstream_st *s = *link;
    if (s != (struct CUstream_st *)hStream) continue;
    while (step(s)) {}
    *link = s->next;
    live[STREAMS]--;
    free(s);
    return OK;
  }
  return INVALID_HANDLE;
}

static CUresult copy_async(void *to, const void *from, size_t bytes, int toDevice, int fromDevice, CUstream stream) {
  if (range_of(to, bytes, toDevice) == NULL || range_of(from, bytes, fromDevice) == NULL) return INVALID_VALUE;
  return queue(stream, (struct Operation){.kind = COPY, .to = to, .from = from, .bytes = bytes});
}

CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream) {
  IN_CONTEXT();
  return copy_async((void *)(uintptr_t)dstDevice, srcHost, ByteCount, 1, 0, hStream);
}

CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
  IN_CONTEXT();
  return copy_async(dstHost, (void *)(uintptr_t)srcDevice, ByteCount, 0, 1, hStream);
}

CUresult CUDAAPI cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
  IN_CONTEXT();
  return copy_async((void *)(uintptr_t)dstDevice, (void *)(uintptr_t)srcDevice, ByteCount, 1, 1, hStream);
}

CUresult CUDAAPI cuEventCreate(CUevent *phEvent, unsigned int Flags) {
  IN_CONTEXT();
  if (Flags > 7) return INVALID_VALUE;
  live[EVENTS]++;
  *phEvent = (CUevent)calloc(1, sizeof(struct CUevent_st));
  return OK;
}

CUresult CUDAAPI cuEventRecord(CUevent hEvent, CUstream hStream) {
  IN_CONTEXT();
  struct CUevent_st *event = (struct CUevent_st *)hEvent;
  if (event == NULL) return INVALID_HANDLE;
  CUresult status = queue(hStream, (struct Operation){.kind = MARK, .event = event});
  if (status == OK) { event->recorded = 1; event->pending++; }
  return status;
}

CUresult CUDAAPI cuStreamWaitEvent(CUstream hStream, CUevent hEvent, unsigned int Flags) {
  IN_CONTEXT();
  if (Flags != 0) return INVALID_VALUE;
  if (hEvent == NULL) return INVALID_HANDLE;
  return queue(hStream, (struct Operation){.kind = WAIT, .event = (struct CUevent_st *)hEvent});
}

CUresult CUDAAPI cuEventQuery(CUevent hEvent) {
  IN_CONTEXT();
  if (hEvent == NULL) return INVALID_HANDLE;
  for (struct CUstream_st *s = streams; s != NULL; s = s->next) step(s);
  if (broken) return broken;
  return ((struct CUevent_st *)hEvent)->pending > 0 ? NOT_READY : OK;
}

CUresult CUDAAPI cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd) {
  IN_CONTEXT();
  if (hStart == NULL || hEnd == NULL || !((struct CUevent_st *)hStart)->recorded) return INVALID_HANDLE;
  if (((struct CUevent_st *)hEnd)->pending > 0) return NOT_READY;
  *pMilliseconds = 0.5f;
  return OK;
}

CUresult CUDAAPI cuEventDestroy_v2(CUevent hEvent) {
  IN_CONTEXT();
  if (hEvent == NULL) return INVALID_HANDLE;
  live[EVENTS]--;
  // A mark may still be queued; the real driver keeps the event until then, here it is never given back.
  if (((struct CUevent_st *)hEvent)->pending == 0) free(hEvent);
  return OK;
}

// ---- memory of other processes ---------------------------------------------------------------------------------------------

struct Handle { char magic[8]; int pid, fd; unsigned long long inode, bytes; };

CUresult CUDAAPI cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr) {
  IN_CONTEXT();
  struct Range *r = range_of((void *)(uintptr_t)dptr, 1, 1);
  struct stat facts;
  if (r == NULL || r->kind != DEVICE_MEMORY || fstat(r->fd, &facts) != 0) return INVALID_VALUE;
  struct Handle handle = {"stubipc", getpid(), r->fd, facts.st_ino, r->bytes};
  memset(pHandle, 0, sizeof *pHandle);
  memcpy(pHandle, &handle, sizeof handle);
  return OK;
}

CUresult CUDAAPI cuIpcOpenMemHandle_v2(CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags) {
  IN_CONTEXT();
  struct Handle h;
  struct stat facts;
  char path[64];
  memcpy(&h, &handle, sizeof h);
  if (Flags != 1 || memcmp(h.magic, "stubipc", 8) != 0) return INVALID_VALUE;
  if (h.pid == getpid()) return INVALID_CONTEXT;
  snprintf(path, sizeof path, "/proc/%d/fd/%d", h.pid, h.fd);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return INVALID_VALUE;
  char *at = MAP_FAILED;
  if (fstat(fd, &facts) == 0 && facts.st_ino == h.inode && (unsigned long long)facts.st_size == h.bytes)
    at = mmap(NULL, h.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) return INVALID_VALUE;
  add_range(PEER, at, h.bytes, -1);
  *pdptr = (CUdeviceptr)(uintptr_t)at;
  return OK;
}

CUresult CUDAAPI cuIpcCloseMemHandle(CUdeviceptr dptr) { IN_CONTEXT(); return drop_range((void *)(uintptr_t)dptr, PEER); }

// ---- modules ---------------------------------------------------------------------------------------------------------------

struct CUmod_st { char *image; size_t bytes; };

// Machine code is an ELF file (its section table says where it ends); the stub compiler's is text.
static size_t image_bytes(const char *image) {
  if (memcmp(image, "STUB", 4) == 0) return strlen(image);
  if (memcmp(image, "\177ELF", 4) != 0) return 0;
  unsigned long long sections;
  unsigned short size, count;
  memcpy(&sections, image + 0x28, 8);
  memcpy(&size, image + 0x3a, 2);
  memcpy(&count, image + 0x3c, 2);
  return sections + (size_t)size * count;
}

CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image) {
  IN_CONTEXT();
  size_t bytes = image_bytes(image);
  if (bytes == 0) return INVALID_IMAGE;
  struct CUmod_st *m = malloc(sizeof *m);
  m->image = malloc(bytes);
  m->bytes = bytes;
  memcpy(m->image, image, bytes);
  live[MODULES]++;
  *module = (CUmodule)m;
  return OK;
}

CUresult CUDAAPI cuModuleUnload(CUmodule hmod) {
  IN_CONTEXT();
  struct CUmod_st *m = (struct CUmod_st *)hmod;
  live[MODULES]--;
  free(m->image);
  free(m);
  return OK;
}

CUresult CUDAAPI cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name) {
  IN_CONTEXT();
  struct CUmod_st *m = (struct CUmod_st *)hmod;
  if (memmem(m->image, m->bytes, name, strlen(name)) == NULL) return NOT_FOUND;
  if (strcmp(name, "stator_gather_blocks") == 0) *hfunc = (CUfunction)&gather_function;
  else if (strcmp(name, "stator_scatter_blocks") == 0) *hfunc = (CUfunction)&scatter_function;
  else return NOT_FOUND;
  return OK;
}

CUresult CUDAAPI cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
                                unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ,
                                unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra) {
  IN_CONTEXT();
  struct CUfunc_st *function = (struct CUfunc_st *)f;
  if (function != &gather_function && function != &scatter_function) return INVALID_HANDLE;
  if (gridDimX == 0 || gridDimY == 0 || gridDimZ == 0 || gridDimY > 65535 || gridDimZ > 65535) return INVALID_VALUE;
  if (blockDimX * blockDimY * blockDimZ > 1024 || blockDimY != 1 || blockDimZ != 1) return INVALID_VALUE;
  if (sharedMemBytes != 0 || extra != NULL) return INVALID_VALUE;
  struct Launch launch = {
    function, {gridDimX, gridDimY, gridDimZ}, {blockDimX, blockDimY, blockDimZ},
    *(const struct Plane **)kernelParams[0], *(const unsigned int **)kernelParams[1],
    *(const unsigned long long **)kernelParams[2], *(unsigned int *)kernelParams[3],
    *(unsigned int *)kernelParams[4], *(unsigned int *)kernelParams[5],
  };
  return queue(hStream, (struct Operation){.kind = KERNEL, .launch = launch});
}
