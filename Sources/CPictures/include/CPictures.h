// Pictures by libvips, which is loaded when the first one is asked for.
//
// Rules: every function may be called from any thread after cpictures_load has answered NULL, between cpictures_begin
// and cpictures_end. Functions that fail answer NULL and give a text in `error`, which the caller frees with free(), like
// every buffer that they answer.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Loads the library; answers NULL, or why it cannot be had (never freed).
const char *cpictures_load(void);

/// Starts a call. libvips has one place for its errors: their text is that of this call only when it runs alone.
void cpictures_begin(int32_t alone);
/// Ends a call.
void cpictures_end(void);

/// Width, height, and whether there is an alpha channel.
typedef struct {
    int64_t width, height;
    int32_t has_alpha;
} cpictures_size;

/// What a picture's header says, turned upright as its EXIF orientation asks. 0, or -1 with `error` set.
int32_t cpictures_measure(const void *bytes, size_t count, cpictures_size *out, char **error);

/// Decodes a picture, upright, as 8-bit sRGB: width · height · 3 bytes, or · 4 with alpha.
uint8_t *cpictures_decode(const void *bytes, size_t count, cpictures_size *out, char **error);

/// A PNG file of 3 or 4 bands.
uint8_t *cpictures_png(const uint8_t *pixels, int32_t width, int32_t height, int32_t bands, size_t *count, char **error);

/// An SVG document drawn at `scale` times its size on white, as a PNG file.
uint8_t *cpictures_draw(const void *svg, size_t bytes, double scale, size_t *count, char **error);

#ifdef __cplusplus
}
#endif
