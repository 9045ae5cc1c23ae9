// Exchanging two files or folders in one step, so that no moment exists at which neither is there.

#include "include/CBlocks.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>

int32_t blocks_exchange(const char *one, const char *other) {
#if defined(__linux__) && defined(RENAME_EXCHANGE)
    return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0 ? 0 : errno;
#elif defined(__APPLE__)
    return renamex_np(one, other, RENAME_SWAP) == 0 ? 0 : errno;
#else
    (void)one;
    (void)other;
    return ENOSYS;
#endif
}
