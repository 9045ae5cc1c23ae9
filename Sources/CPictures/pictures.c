// Pictures by libvips (https://www.libvips.org/API/current/), loaded at run time where the machine has it.
#include "include/CPictures.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct VipsImage VipsImage;

// Numbers of libvips' and GLib's enumerations.
enum { FORMAT_UCHAR = 0, SPACE_SRGB = 22, FAIL_ON_ERROR = 2, LOG_WARNING = 1 << 4 };

static struct {
    int (*init)(const char *);
    VipsImage *(*from_buffer)(const void *, size_t, const char *, ...);
    VipsImage *(*from_memory)(const void *, size_t, int, int, int, int);
    void *(*to_memory)(VipsImage *, size_t *);
    int (*width)(const VipsImage *);
    int (*height)(const VipsImage *);
    int (*bands)(const VipsImage *);
    int (*has_alpha)(VipsImage *);
    int (*upright)(VipsImage *, VipsImage **, ...);
    int (*colourspace)(VipsImage *, VipsImage **, int, ...);
    int (*cast)(VipsImage *, VipsImage **, int, ...);
    int (*flatten)(VipsImage *, VipsImage **, ...);
    int (*copy)(VipsImage *, VipsImage **, ...);
    int (*png)(VipsImage *, void **, size_t *, ...);
    int (*svg)(void *, size_t, VipsImage **, ...);
    const char *(*error)(void);
    void (*clear_error)(void);
    void *(*array)(const double *, int);
    void (*unref)(void *);
    void (*area_unref)(void *);
    void (*set_cache)(int);
    void (*set_threads)(int);
    unsigned (*on_log)(const char *, int, void (*)(const char *, int, const char *, void *), void *);
} vips;

static const char *failure;
static char message[512];
static pthread_rwlock_t words = PTHREAD_RWLOCK_INITIALIZER;

static void *open_library(void) {
    static const char *const names[] = {"libvips.so.42", "libvips.42.dylib", "/opt/homebrew/lib/libvips.42.dylib"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library) return library;
        if (i == 0) strncpy(message, dlerror(), sizeof message - 1);
    }
    return NULL;
}

// What libvips finds remarkable in a file that it can read.
static void ignore(const char *domain, int level, const char *text, void *data) {
    (void)domain, (void)level, (void)text, (void)data;
}

static void load(void) {
    void *library = open_library();
    if (!library) {
        failure = message;
        return;
    }
    const struct {
        void *place;
        const char *name;
    } functions[] = {
        {&vips.init, "vips_init"},
        {&vips.from_buffer, "vips_image_new_from_buffer"},
        {&vips.from_memory, "vips_image_new_from_memory"},
        {&vips.to_memory, "vips_image_write_to_memory"},
        {&vips.width, "vips_image_get_width"},
        {&vips.height, "vips_image_get_height"},
        {&vips.bands, "vips_image_get_bands"},
        {&vips.has_alpha, "vips_image_hasalpha"},
        {&vips.upright, "vips_autorot"},
        {&vips.colourspace, "vips_colourspace"},
        {&vips.cast, "vips_cast"},
        {&vips.flatten, "vips_flatten"},
        {&vips.copy, "vips_copy"},
        {&vips.png, "vips_pngsave_buffer"},
        {&vips.svg, "vips_svgload_buffer"},
        {&vips.error, "vips_error_buffer"},
        {&vips.clear_error, "vips_error_clear"},
        {&vips.array, "vips_array_double_new"},
        {&vips.unref, "g_object_unref"},
        {&vips.area_unref, "vips_area_unref"},
        {&vips.set_cache, "vips_cache_set_max"},
        {&vips.set_threads, "vips_concurrency_set"},
        {&vips.on_log, "g_log_set_handler"},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found) {
            failure = functions[i].name;
            return;
        }
        memcpy(functions[i].place, &found, sizeof found);
    }
    if (vips.init("lora") != 0) {
        failure = "libvips does not start";
        return;
    }
    vips.set_cache(0);    // no picture is read twice
    vips.set_threads(1);  // pictures are read side by side instead
    vips.on_log("VIPS", LOG_WARNING, ignore, NULL);
}

const char *cpictures_load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return failure;
}

void cpictures_begin(int32_t alone) {
    if (!alone) {
        pthread_rwlock_rdlock(&words);
        return;
    }
    pthread_rwlock_wrlock(&words);
    vips.clear_error();
}

void cpictures_end(void) { pthread_rwlock_unlock(&words); }

// Gives the first line of libvips' own words and forgets them.
static void *give_up(char **error) {
    const char *text = vips.error();
    size_t length = strcspn(text, "\n");
    if (length > 300) length = 300;
    *error = length ? strndup(text, length) : strdup("damaged");
    vips.clear_error();
    return NULL;
}

// The next image of a chain; the one before is let go.
static VipsImage *next_of(VipsImage *before, int status, VipsImage **next) {
    vips.unref(before);
    return status == 0 ? *next : NULL;
}

// Formats by their first bytes. libvips would also try formats that are programs (SVG, PDF) or that nobody guards.
static const struct {
    size_t offset;
    const char *bytes;
    size_t count;
} signatures[] = {
    {0, "\xFF\xD8\xFF", 3}, {0, "\x89PNG\r\n\x1A\n", 8}, {8, "WEBP", 4}, {0, "GIF8", 4},
    {0, "II*\0", 4},        {0, "MM\0*", 4},              {4, "ftyp", 4},
};

static int is_known(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
        if (count >= signatures[i].offset + signatures[i].count &&
            memcmp(bytes + signatures[i].offset, signatures[i].bytes, signatures[i].count) == 0)
            return 1;
    return 0;
}

static VipsImage *open_upright(const void *bytes, size_t count, char **error) {
    if (!is_known(bytes, count)) {
        *error = strdup(count ? "its content is not that of a JPEG, PNG, WebP, TIFF, GIF, HEIF or AVIF file" : "empty");
        return NULL;
    }
    VipsImage *image = vips.from_buffer(bytes, count, "", "fail_on", FAIL_ON_ERROR, NULL), *next = NULL;
    if (image) image = next_of(image, vips.upright(image, &next, NULL), &next);
    return image ? image : give_up(error);
}

// 8-bit sRGB, with alpha where there is one.
static VipsImage *as_colours(VipsImage *image) {
    VipsImage *next = NULL;
    image = next_of(image, vips.colourspace(image, &next, SPACE_SRGB, NULL), &next);
    return image ? next_of(image, vips.cast(image, &next, FORMAT_UCHAR, NULL), &next) : NULL;
}

// The pixels; memory of GLib is malloc's since 2.46.
static uint8_t *pixels_of(VipsImage *image, char **error) {
    size_t count = 0;
    void *pixels = vips.to_memory(image, &count);
    return pixels ? pixels : give_up(error);
}

// The size of `image`; refuses what no training picture has.
static int measure(VipsImage *image, cpictures_size *out, char **error) {
    out->width = vips.width(image);
    out->height = vips.height(image);
    out->has_alpha = vips.has_alpha(image) != 0;
    if (out->width > 0 && out->height > 0 && out->width <= 1 << 16 && out->height <= 1 << 16 &&
        out->width * out->height <= (int64_t)1 << 28)
        return 0;
    *error = strdup("more than 65,536 pixels wide or high, or more than 268 million in all");
    return -1;
}

int32_t cpictures_measure(const void *bytes, size_t count, cpictures_size *out, char **error) {
    VipsImage *image = open_upright(bytes, count, error);
    if (!image) return -1;
    int status = measure(image, out, error);
    vips.unref(image);
    return status;
}

uint8_t *cpictures_decode(const void *bytes, size_t count, cpictures_size *out, char **error) {
    VipsImage *image = open_upright(bytes, count, error);
    if (!image) return NULL;
    if (measure(image, out, error) != 0) {
        vips.unref(image);
        return NULL;
    }
    image = as_colours(image);
    if (!image) return give_up(error);
    uint8_t *pixels = NULL;
    if (vips.bands(image) == 3 + out->has_alpha) pixels = pixels_of(image, error);
    else *error = strdup("its channels are not those of a picture");
    vips.unref(image);
    return pixels;
}

// The image as a PNG file in memory of the caller's; lets the image go.
static uint8_t *png_of(VipsImage *image, size_t *count, char **error) {
    void *file = NULL;
    int status = vips.png(image, &file, count, NULL);
    vips.unref(image);
    return status == 0 ? file : give_up(error);
}

uint8_t *cpictures_png(const uint8_t *pixels, int32_t width, int32_t height, int32_t bands, size_t *count,
                       char **error) {
    size_t bytes = (size_t)width * (size_t)height * (size_t)bands;
    VipsImage *image = vips.from_memory(pixels, bytes, width, height, bands, FORMAT_UCHAR), *next = NULL;
    if (!image) return give_up(error);
    // Memory carries no meaning of its numbers: without this a PNG of three bands would be called multiband.
    image = next_of(image, vips.copy(image, &next, "interpretation", SPACE_SRGB, NULL), &next);
    return image ? png_of(image, count, error) : give_up(error);
}

uint8_t *cpictures_draw(const void *svg, size_t bytes, double scale, size_t *count, char **error) {
    VipsImage *image = NULL, *next = NULL;
    if (vips.svg((void *)svg, bytes, &image, "scale", scale, NULL) != 0) return give_up(error);
    const double white[] = {255, 255, 255};
    void *background = vips.array(white, 3);
    int status = vips.flatten(image, &next, "background", background, NULL);
    vips.area_unref(background);
    image = next_of(image, status, &next);
    return image ? png_of(image, count, error) : give_up(error);
}
