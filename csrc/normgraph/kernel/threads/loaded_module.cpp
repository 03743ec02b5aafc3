#include "normgraph/kernel/threads/loaded_module.hpp"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#elif __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif

namespace normgraph::kernel {

#if defined(_WIN32)

void keep_this_module_loaded() {
    HMODULE module = nullptr;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                       reinterpret_cast<LPCWSTR>(&keep_this_module_loaded), &module);
}

#elif defined(RTLD_NODELETE) && defined(RTLD_NOLOAD)

void keep_this_module_loaded() {
    Dl_info module;
    if (dladdr(reinterpret_cast<const void*>(&keep_this_module_loaded), &module) != 0) {
        dlopen(module.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

#else

void keep_this_module_loaded() {}

#endif

}  // namespace normgraph::kernel
