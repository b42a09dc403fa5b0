// NVIDIA's compiler without NVIDIA's compiler: its "machine code" is the source with a heading, which the stub driver takes. A source
// with the line `#error` fails, as with the real one.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_NVRTC_H
#include <nvrtc.h>
#else
typedef int nvrtcResult;
typedef struct _nvrtcProgram *nvrtcProgram;
#endif

struct _nvrtcProgram { char *source, *code; char log[256]; };
enum { OK = 0, INVALID_OPTION = 5, COMPILATION = 6 };

const char *nvrtcGetErrorString(nvrtcResult result) {
  return (int)result == OK ? "NVRTC_SUCCESS" : (int)result == COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}

nvrtcResult nvrtcVersion(int *major, int *minor) { *major = 12; *minor = 9; return OK; }
nvrtcResult nvrtcGetNumSupportedArchs(int *numArchs) { *numArchs = 2; return OK; }
nvrtcResult nvrtcGetSupportedArchs(int *supportedArchs) { supportedArchs[0] = 80; supportedArchs[1] = 90; return OK; }

nvrtcResult nvrtcCreateProgram(nvrtcProgram *prog, const char *src, const char *name, int numHeaders,
                               const char *const *headers, const char *const *includeNames) {
  (void)name; (void)headers; (void)includeNames;
  if (numHeaders != 0) return INVALID_OPTION;
  *prog = calloc(1, sizeof **prog);
  (*prog)->source = strdup(src);
  return OK;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int numOptions, const char *const *options) {
  if (numOptions < 1 || strncmp(options[0], "--gpu-architecture=sm_", 22) != 0) return INVALID_OPTION;
  if (strstr(prog->source, "#error") != NULL) {
    snprintf(prog->log, sizeof prog->log, "blocks.cu(1): error: #error directive\n");
    return COMPILATION;
  }
  prog->code = malloc(strlen(prog->source) + 64);
  sprintf(prog->code, "STUB %s\n%s", options[0] + 19, prog->source);
  return OK;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t *cubinSizeRet) { *cubinSizeRet = strlen(prog->code) + 1; return OK; }
nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char *cubin) { strcpy(cubin, prog->code); return OK; }
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t *logSizeRet) { *logSizeRet = strlen(prog->log) + 1; return OK; }
nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char *log) { strcpy(log, prog->log); return OK; }

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *prog) {
  free((*prog)->source);
  free((*prog)->code);
  free(*prog);
  *prog = NULL;
  return OK;
}
