# Prepares a machine and builds: read by `./lora` and `./test`, which set `root` (the checkout) and `state`.
# Every failure ends in one line on standard error that says what to run, and exit status 1.

torch_version=2.11.0
minimum_swift=6.1
launcher=$root/.build/launcher
own_libtorch=$root/.libtorch
system=$(uname -s)

say() { printf 'lora: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# MARK: Turns. The second of two at once waits; without `flock` (macOS) SwiftPM's own lock and the renames below do.

take_turn() {
    mkdir -p "$launcher" 2>/dev/null && [ -w "$launcher" ] && [ -w "$root" ] \
        || fail "cannot write to $root; run: sudo chown -R $(id -un) '$root' (or clone into a folder of yours)"
    trap 'exit 130' INT
    trap 'exit 143' TERM
    exec 9> "$launcher/lock"
    command -v flock > /dev/null || return 0
    flock -n 9 || { say "waiting for another build of this checkout to end"; flock 9; }
}

end_turn() {
    exec 9>&-
    trap - INT TERM
}

# MARK: Debian packages

# Installs packages where this user may and prints nothing but what it does; status 1 where that is impossible.
install_packages() {
    command -v apt-get > /dev/null || return 1
    if [ "$(id -u)" = 0 ]; then as=''; elif sudo -n true 2> /dev/null; then as='sudo -n'; else return 1; fi
    say "installing Debian packages: $*"
    # shellcheck disable=SC2086
    {
        $as apt-get update -qq
        $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=120 "$@"
    } > "$launcher/apt.log" 2>&1 < /dev/null 9>&-
}

# The line for packages that could not be installed here.
ask_for_packages() {
    if command -v apt-get > /dev/null; then
        fail "$1 is missing; run: sudo apt-get install -y $2"
    fi
    fail "$1 is missing; install it with your system's package manager (Debian's name: $2) and run this again"
}

# For training on pictures and the loss curve as PNG; text runs need neither, so tried once and never insisted on.
install_optional_packages() {
    command -v dpkg-query > /dev/null && [ ! -e "$launcher/pictures" ] || return 0
    for package in libvips42 fonts-dejavu-core; do
        case $(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) in
            *' installed') ;;
            *) set -- "$@" "$package" ;;
        esac
    done
    [ $# = 0 ] || install_packages "$@" \
        || say "no training on pictures and no PNG of the loss curve (only SVG) until you run: sudo apt-get install -y $*"
    : > "$launcher/pictures"
}

# MARK: The compiler

check_swift() {
    swift=$(command -v swift) || fail "Swift $minimum_swift or newer is not on PATH; install it from" \
        "https://www.swift.org/install (or: export PATH=<toolchain>/usr/bin:\$PATH) and run this again"
    version=$(swift --version 2> /dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$version" ] || fail "$swift does not run; \`swift --version\` says why; see https://www.swift.org/install"
    [ "${version%.*}" -gt "${minimum_swift%.*}" ] \
        || { [ "${version%.*}" = "${minimum_swift%.*}" ] && [ "${version#*.}" -ge "${minimum_swift#*.}" ]; } \
        || fail "$swift is Swift $version, and $minimum_swift or newer is needed; see https://www.swift.org/install"
    command -v git > /dev/null || install_packages git || ask_for_packages git git
    check_cpp || { install_packages g++ libc6-dev && check_cpp; } || ask_for_packages "a C++ standard library" g++
    # Absent on macOS, where the system has it.
    runtime=$(swift -print-target-info 2> /dev/null \
        | sed -n '/"runtimeLibraryPaths"/,/]/s/^ *"\(\/.*\)",\{0,1\}$/\1/p' | head -n 1)
    [ -d "$runtime" ] || runtime=/
}

# Whether C++ compiles: Swift brings clang, the standard library comes from the system.
check_cpp() {
    clang=${swift%/*}/clang++
    [ -x "$clang" ] || clang=clang++
    printf '#include <cstdint>\n#include <memory>\n' | "$clang" -x c++ -std=c++17 -fsyntax-only - 2> /dev/null
}

# MARK: libtorch

# The version of the libtorch in a folder, or nothing.
version_of() {
    [ -d "$1/include/ATen" ] && [ -d "$1/lib" ] || return 0
    for header in torch/headeronly/version.h torch/csrc/api/include/torch/version.h; do
        [ -r "$1/include/$header" ] || continue
        sed -n 's/^#define TORCH_VERSION_[MP][A-Z]* \([0-9][0-9]*\).*/\1/p' "$1/include/$header" | paste -s -d . -
        return 0
    done
}

has_gpu() { [ "$system" = Linux ] && { [ -e /dev/nvidia0 ] || nvidia-smi -L > /dev/null 2>&1; }; }

# Sets `libtorch` to a folder with include/ and lib/.
find_libtorch() {
    if [ -n "${LIBTORCH:-}" ]; then
        libtorch=$(CDPATH='' cd -- "$LIBTORCH" 2> /dev/null && pwd -P) \
            || fail "LIBTORCH is '$LIBTORCH', which is no folder; set it to one with include/ and lib/, or unset it"
        found=$(version_of "$libtorch")
        [ "$found" = "$torch_version" ] || fail "LIBTORCH='$LIBTORCH' holds ${found:-no libtorch (include/, lib/)}," \
            "and $torch_version is needed; run: unset LIBTORCH (then it is found or fetched)"
        check_loads
        return
    fi
    for libtorch in "$own_libtorch/torch" "$own_libtorch"; do
        [ "$(version_of "$libtorch")" != "$torch_version" ] || { check_loads; return; }
    done
    libtorch=$(python3 -c 'import importlib.metadata as m, importlib.util as u, os
print(os.path.dirname(u.find_spec("torch").origin) if m.version("torch").split("+")[0] == "'$torch_version'" else "")' \
        2> /dev/null) && [ "$(version_of "$libtorch")" = "$torch_version" ] && is_loadable && return
    fetch_libtorch
    libtorch=$own_libtorch/torch
}

# Whether the loader finds every library that libtorch needs.
is_loadable() {
    command -v ldd > /dev/null || return 0
    lacking=$(ldd "$libtorch/lib/libtorch_cpu.so" 2> /dev/null | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' \
        | head -n 3 | paste -s -d ' ' -)
    [ -z "$lacking" ]
}

check_loads() {
    remedy="rm -rf '$own_libtorch'"
    [ -z "${LIBTORCH:-}" ] || remedy="unset LIBTORCH"
    is_loadable || fail "$libtorch/lib/libtorch_cpu.so needs $lacking, not found on this machine;" \
        "run: $remedy (then it is fetched with all it needs)"
}

# Fetches libtorch out of PyTorch's wheel, whole or not at all: `.libtorch/torch` appears last, by a rename.
fetch_libtorch() {
    command -v python3 > /dev/null && python3 -m pip --version > /dev/null 2>&1 \
        || install_packages python3 python3-pip \
        || ask_for_packages "python3 with pip (to fetch libtorch $torch_version)" "python3 python3-pip"
    gigabytes=3
    ! has_gpu || gigabytes=9
    free=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "${free:-$gigabytes}" -ge "$gigabytes" ] || fail "fetching and building takes about $gigabytes GB and $root has $free GB free;" \
        "free some, or run: LIBTORCH=<folder of libtorch $torch_version> ./lora"

    rm -rf "$own_libtorch"/.partial-*               # left by a fetch that was killed
    partial=$own_libtorch/.partial-$$
    mkdir -p "$partial/temporary" || fail "cannot make $partial; run: sudo chown -R $(id -un) '$own_libtorch'"
    trap 'rm -rf "$partial"; exit 130' INT
    trap 'rm -rf "$partial"; exit 143' TERM
    say "fetching libtorch $torch_version (once; about 0.5 GB)"
    fetch_wheels
    say "unpacking libtorch"
    python3 "$root/scripts/setup/unpack.py" "$partial" 2> "$launcher/unpack.log" 9>&- \
        || give_up_fetching "could not unpack libtorch ($(tail -n 1 "$launcher/unpack.log")); run this again"
    [ "$(version_of "$partial/torch")" = "$torch_version" ] \
        || give_up_fetching "the wheel holds no libtorch $torch_version; run: LIBTORCH=<its folder> ./lora"
    rm -rf "$own_libtorch/torch" "$own_libtorch/nvidia" "$own_libtorch/licenses"
    for part in licenses nvidia torch; do
        [ ! -e "$partial/$part" ] || mv "$partial/$part" "$own_libtorch/$part" || give_up_fetching "cannot write $own_libtorch"
    done
    rm -rf "$partial"
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Linux wheels are built for CUDA: to load, even for the CPU alone, they want two of its small libraries; to use a
# GPU, all of them.
fetch_wheels() {
    pip_download --no-deps "torch==$torch_version"
    [ "$system" = Linux ] || return 0
    if has_gpu; then
        say "fetching the CUDA libraries for the GPU of this machine (once; about 2 GB)"
        cuda_parts=cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx
        pip_download "cuda-toolkit[$cuda_parts]==13.0.2" nvidia-cudnn-cu13==9.19.0.56 nvidia-cusparselt-cu13==0.8.0 \
            nvidia-nccl-cu13==2.28.9 nvidia-nvshmem-cu13==3.4.5
    else
        pip_download --no-deps 'nvidia-cuda-runtime==13.0.*' 'nvidia-cuda-cupti==13.0.*'
    fi
}

# `--python-version` makes any Python 3 with pip do: only the C++ inside the wheel is used.
pip_download() {
    TMPDIR=$partial/temporary python3 -m pip download --dest "$partial/wheels" --only-binary=:all: \
        --python-version 3.11 --retries 2 --disable-pip-version-check "$@" >&2 2> "$launcher/pip.log" < /dev/null 9>&- \
        || give_up_fetching "pip could not fetch libtorch ($(grep -i '^ERROR' "$launcher/pip.log" | tail -n 1 \
            | cut -c 1-160)); with a network run this again, without one: LIBTORCH=<folder of libtorch $torch_version> ./lora"
}

give_up_fetching() {
    rm -rf "$partial"
    fail "$*"
}

# MARK: The build

# Everything before the first compiler call; sets `flags`, the same for every build and test, so that all share one
# build folder. (`-enable-testing` costs the program nothing measurable and saves the tests a second build.)
prepare() {
    if [ -r "$state" ] && read -r built_root < "$state" && [ "$built_root" != "$root" ]; then
        say "this checkout was moved: building anew"     # the build folder holds absolute paths
        for entry in "$root/.build"/*; do [ "$entry" = "$launcher" ] || rm -rf "$entry"; done
        rm -f "$state"
    fi
    check_swift
    find_libtorch
    write_package_file
    export PKG_CONFIG_PATH="$launcher${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    [ -d "$root/.build/checkouts" ] || fetch_swift_packages
    install_optional_packages
}

# SwiftPM reads this by itself, without a `pkg-config` program. Rewritten only when it changes: it is a build input.
write_package_file() {
    quoted=$(printf '%s' "$libtorch" | sed 's/[\\" ]/\\&/g')
    cat > "$launcher/libtorch.pc.new" << END
Name: libtorch
Description: PyTorch's C++ library
Version: $torch_version
Cflags: -I$quoted/include
Libs: -L$quoted/lib -ltorch_cpu -lc10
END
    cmp -s "$launcher/libtorch.pc.new" "$launcher/libtorch.pc" \
        || mv "$launcher/libtorch.pc.new" "$launcher/libtorch.pc"
    rm -f "$launcher/libtorch.pc.new"
}

fetch_swift_packages() {
    say "fetching Swift packages"
    swift package --package-path "$root" resolve > "$launcher/resolve.log" 2>&1 < /dev/null 9>&- \
        || fail "could not fetch the Swift packages ($(grep -m 1 '^error' "$launcher/resolve.log" | cut -c 1-160));" \
            "with a network run this again; the whole text: $launcher/resolve.log"
}

# `swift_with build --product lora`: one SwiftPM command with the shared flags, all its output on standard error.
swift_with() {
    verb=$1
    shift
    swift "$verb" --package-path "$root" -c release -Xswiftc -enable-testing \
        -Xlinker -rpath -Xlinker "$libtorch/lib" "$@" < /dev/null 9>&-
}

# Builds products. Named one by one: a build of everything would compile ArgumentParser twice, for its plugins' tools.
build_products() {
    for product in "$@"; do
        swift_with build --product "$product" >&2 \
            || fail "the build failed for the reasons above; on a clean clone of a release run: rm -rf '$root/.build'" \
                "and this again, else mend what they name"
    done
}

# The program, both executables; afterwards `is_ready`.
build_program() {
    prepare
    say "building (minutes the first time, later only what changed)"
    printf '%s\n%s\n%s\n' "$root" "$libtorch" "$runtime" > "$launcher/pending"
    build_products lora-engine lora
    mv "$launcher/pending" "$state"                  # keeps its time: sources saved during the build are newer
}
