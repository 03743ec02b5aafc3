/// A library to be loaded before a program: calls by which one of its modules gets memory, threads
/// or pages fail on demand. Only what the module itself asks for fails, and the C++ library for it.

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Range {
    std::uintptr_t begin = 0, end = 0;

    bool has(const void* address) const {
        const auto number = reinterpret_cast<std::uintptr_t>(address);
        return begin <= number && number < end;
    }
};

constexpr long never = -1;

Range module_range, library_range;
std::atomic<long> calls{0}, first_to_fail{never}, last_to_fail{never}, live{0};

/// Whether the call that has just come fails. `caller`: the address that it returns to.
bool fails(const void* caller) {
    if (first_to_fail.load() == never || !(module_range.has(caller) || library_range.has(caller))) {
        return false;
    }
    const long number = calls.fetch_add(1);
    return first_to_fail.load() <= number && number <= last_to_fail.load();
}

struct Wanted {
    const char* name;
    Range* range;
};

int find_range(dl_phdr_info* info, std::size_t /*size*/, void* data) {
    const auto& wanted = *static_cast<Wanted*>(data);
    if (info->dlpi_name == nullptr || std::strstr(info->dlpi_name, wanted.name) == nullptr) {
        return 0;
    }
    for (int index = 0; index < info->dlpi_phnum; ++index) {
        const auto& segment = info->dlpi_phdr[index];
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) {
            const auto begin = static_cast<std::uintptr_t>(info->dlpi_addr + segment.p_vaddr);
            *wanted.range = {begin, begin + segment.p_memsz};
        }
    }
    return 1;
}

void* counted(void* address) {
    if (address != nullptr) {
        live.fetch_add(1);
    }
    return address;
}

void* new_or_null(std::size_t size, const void* caller) {
    return fails(caller) ? nullptr : counted(std::malloc(size > 0 ? size : 1));
}
void* new_or_null(std::size_t size, std::align_val_t alignment, const void* caller) {
    const auto step = static_cast<std::size_t>(alignment);
    return fails(caller) ? nullptr : counted(std::aligned_alloc(step, (size + step) / step * step));
}
void* or_throw(void* address) {
    if (address == nullptr) {
        throw std::bad_alloc();
    }
    return address;
}
void release(void* address) {
    if (address != nullptr) {
        live.fetch_sub(1);
        std::free(address);
    }
}

template <typename Function>
Function* next(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
/// Calls of the module whose path contains this name may fail from now on. 0 if there is none.
int failing_calls_watch(const char* module) {
    Wanted wanted{module, &module_range}, library{"libstdc++", &library_range};
    dl_iterate_phdr(find_range, &library);
    return dl_iterate_phdr(find_range, &wanted);
}
/// The calls with these numbers fail, counted from 0.
void failing_calls_arm(long first, long last) {
    calls.store(0);
    last_to_fail.store(last);
    first_to_fail.store(first);
}
/// How many calls have come since.
long failing_calls_disarm() {
    first_to_fail.store(never);
    return calls.load();
}
/// How many objects of C++ are there.
long failing_calls_live() {
    return live.load();
}

void* mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset) {
    static auto* const system = next<decltype(mmap)>("mmap");
    if (fails(__builtin_return_address(0))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return system(address, length, protection, flags, file, offset);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
    static auto* const system = next<decltype(pthread_create)>("pthread_create");
    if (fails(__builtin_return_address(0))) {
        return EAGAIN;
    }
    return system(thread, attributes, start, argument);
}
}

void* operator new(std::size_t size) {
    return or_throw(new_or_null(size, __builtin_return_address(0)));
}
void* operator new[](std::size_t size) {
    return or_throw(new_or_null(size, __builtin_return_address(0)));
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return new_or_null(size, __builtin_return_address(0));
}
void* operator new[](std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return new_or_null(size, __builtin_return_address(0));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return or_throw(new_or_null(size, alignment, __builtin_return_address(0)));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return or_throw(new_or_null(size, alignment, __builtin_return_address(0)));
}
void operator delete(void* address) noexcept {
    release(address);
}
void operator delete[](void* address) noexcept {
    release(address);
}
void operator delete(void* address, std::size_t /*size*/) noexcept {
    release(address);
}
void operator delete[](void* address, std::size_t /*size*/) noexcept {
    release(address);
}
void operator delete(void* address, std::align_val_t /*alignment*/) noexcept {
    release(address);
}
void operator delete[](void* address, std::align_val_t /*alignment*/) noexcept {
    release(address);
}
void operator delete(void* address, std::size_t /*size*/, std::align_val_t /*step*/) noexcept {
    release(address);
}
void operator delete[](void* address, std::size_t /*size*/, std::align_val_t /*step*/) noexcept {
    release(address);
}
