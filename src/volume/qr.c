/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/qr.h"

#include <errno.h>
#include <png.h>
#include <qrencode.h>

#define QUIET 4 /* modules of light ground on every side (ISO/IEC 18004) */
#define ROW_MAX (177 + 2 * QUIET)
#define PIXELS 8         /* a module is eight pixels of one bit: one byte of a PNG row */
#define PAYLOAD_MAX 2953 /* byte mode, version 40, level L */
#define PICTURE_MAX (1u << 20)

/* Level L: the picture is shown on a screen, where larger modules help more than redundancy. */
static int encode(struct bytes payload, QRcode **out)
{
    if (payload.n == 0)
        return ERR_INVALID;
    if (payload.n > PAYLOAD_MAX)
        return ERR_LIMIT;
    *out = QRcode_encodeData((int)payload.n, payload.p, 0, QR_ECLEVEL_L);
    if (*out)
        return 0;
    if (errno == ENOMEM)
        err_fatal("out of memory (QR)");
    return errno == ERANGE ? ERR_LIMIT : ERR_INVALID;
}

/* Coordinates include the quiet zone, which is light like everything outside. */
static bool dark(const QRcode *code, int x, int y)
{
    x -= QUIET;
    y -= QUIET;
    return x >= 0 && y >= 0 && x < code->width && y < code->width &&
           (code->data[y * code->width + x] & 1);
}

static int side(const QRcode *code)
{
    return code->width + 2 * QUIET;
}

/* ---- PNG ---------------------------------------------------------------------------------------
 */

static void png_put(png_structp png, png_bytep data, png_size_t n)
{
    if (buf_append(png_get_io_ptr(png), BYTES(data, n)) != 0)
        png_error(png, "limit");
}

static void png_flush_nothing(png_structp png)
{
    (void)png;
}

static void png_failed(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void png_body(png_structp png, png_infop info, const QRcode *code)
{
    png_byte row[ROW_MAX];
    png_uint_32 pixels = (png_uint_32)(side(code) * PIXELS);
    png_set_IHDR(png, info, pixels, pixels, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < side(code); y++) {
        for (int x = 0; x < side(code); x++)
            row[x] = dark(code, x, y) ? 0x00 : 0xff;
        for (int i = 0; i < PIXELS; i++)
            png_write_row(png, row);
    }
    png_write_end(png, info);
}

static int png_write(const QRcode *code, struct buf *out)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_warned);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        err_fatal("out of memory (PNG)");
    int rc = ERR_LIMIT;
    if (setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, out, png_put, png_flush_nothing);
        png_body(png, info, code);
        rc = 0;
    }
    png_destroy_write_struct(&png, &info);
    return rc;
}

int volume_qr_png(struct bytes payload, struct buf *out)
{
    QRcode *code;
    int rc = encode(payload, &code);
    if (rc != 0)
        return rc;
    rc = png_write(code, out);
    QRcode_free(code);
    return rc;
}

/* ---- SVG ---------------------------------------------------------------------------------------
 */

/* Hundreds in each picture: not by printf. */
static void svg_run(int x, int y, int run, struct buf *out)
{
    buf_append_u8(out, 'M');
    buf_append_int(out, x);
    buf_append_u8(out, ' ');
    buf_append_int(out, y);
    buf_append_u8(out, 'h');
    buf_append_int(out, run);
    buf_append_text(out, "v1h-");
    buf_append_int(out, run);
    buf_append_u8(out, 'z');
}

/* One rectangle for each run of dark modules of a row. */
static void svg_row(const QRcode *code, int y, struct buf *out)
{
    for (int x = 0; x < side(code);) {
        int run = 0;
        while (dark(code, x + run, y))
            run++;
        if (run)
            svg_run(x, y, run, out);
        x += run ? run : 1;
    }
}

int volume_qr_svg(struct bytes payload, struct buf *out)
{
    QRcode *code;
    int rc = encode(payload, &code);
    if (rc != 0)
        return rc;
    int n = side(code);
    /* Colours are spelled out, so a page in dark mode cannot invert it. */
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
               "height=\"%d\" shape-rendering=\"crispEdges\" style=\"background:#fff\">"
               "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><path fill=\"#000\" d=\"",
               n, n, n * PIXELS, n * PIXELS, n, n);
    for (int y = 0; y < n; y++)
        svg_row(code, y, out);
    buf_append_text(out, "\"/></svg>\n");
    QRcode_free(code);
    return out->full ? ERR_LIMIT : 0;
}

/* ---- terminal ----------------------------------------------------------------------------------
 */

int volume_qr_terminal(struct bytes payload, struct buf *out)
{
    /* Light modules are drawn: index 2 = upper light, 1 = lower light. */
    static const char *const cells[] = {" ", "\u2584", "\u2580", "\u2588"};
    QRcode *code;
    int rc = encode(payload, &code);
    if (rc != 0)
        return rc;
    int n = side(code);
    for (int y = 0; y < n; y += 2) {
        for (int x = 0; x < n; x++) {
            bool lower = y + 1 < n && !dark(code, x, y + 1);
            buf_append_text(out, cells[(dark(code, x, y) ? 0 : 2) + (lower ? 1 : 0)]);
        }
        buf_append_u8(out, '\n');
    }
    QRcode_free(code);
    return out->full ? ERR_LIMIT : 0;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static int text_file(struct bytes payload, struct buf *out)
{
    buf_append(out, payload);
    return buf_append_u8(out, '\n');
}

static const struct {
    const char *name;
    int (*make)(struct bytes payload, struct buf *out);
} files[] = {
    {"qr.txt", text_file},
    {"qr.svg", volume_qr_svg},
    {"qr.png", volume_qr_png},
};

int volume_qr_publish(const struct volume *v, struct bytes payload, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(files) && rc == 0; i++) {
        AUTO_BUF struct buf picture;
        buf_init(&picture, PICTURE_MAX);
        rc = files[i].make(payload, &picture);
        if (rc != 0)
            return err_set(err, rc, "cannot draw %s: payload of %zu bytes", files[i].name,
                           payload.n);
        /* The last one syncs the directory for all. */
        bool last = i == ARRAY_LEN(files) - 1;
        rc = volume_publish(v->root_fd, files[i].name, buf_bytes(&picture), last, err);
    }
    return rc;
}

int volume_qr_remove(const struct volume *v, struct err *err)
{
    int rc = 0;
    for (size_t i = ARRAY_LEN(files); i-- > 0;) {
        /* The last one syncs the directory for all. */
        int one = volume_unpublish(v->root_fd, files[i].name, i == 0, rc == 0 ? err : NULL);
        rc = rc == 0 ? one : rc;
    }
    return rc;
}
